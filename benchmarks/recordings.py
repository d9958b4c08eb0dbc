"""Recordings that waited for their bucket: how long until all are stored, and how long a crashed job's journal waits behind
them. And links to them, signed anew or from the cache."""

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any
from uuid import uuid4

from django.conf import settings

from benchmarks.calls import prepare_database
from benchmarks.report import Report
from calls import link_cache
from calls.clock import database_now
from calls.models import Call, CallEvent, Recording
from calls.places import storage_at
from calls.services.journal import apply_entries
from calls.testing import JOB, make_call
from tenants.models import OutboxEvent, Tenant, TenantLimits
from tenants.scope import tenant_scope
from tenants.services.tenants import create_tenant
from tests.fakes.gcs_server import BUCKET, GcsServer, serve_gcs
from voice_worker.journal_file import Header, JournalFile
from voice_worker.local_host import SWEEP_S
from voice_worker.spool import Spool

SIZE = 480_000
"""A minute of sound."""
DOWN_S = 30.0
_PATIENCE_S = 300.0
_UNCACHED, _CACHED = 300, 100_000


@contextmanager
def bucket() -> Iterator[GcsServer]:
    with serve_gcs() as server:
        options = {"bucket_name": BUCKET, "location": "recordings", "given_credentials": server.service_account()}
        gcs = {"BACKEND": "voiceplatform.lib.gcs.PrivateGoogleStorage", "OPTIONS": {**options, "endpoint": server.url}}
        settings.VP_STORAGE = "gcs"
        settings.STORAGES = {**settings.STORAGES, "recordings": gcs, "recordings-gcs": gcs}
        yield server


def spooled(tenant: Tenant, root: Path, count: int) -> dict[str, str]:
    """Ended calls whose recordings are in the spool; gives the checksum of each name in the bucket."""
    made = {}
    with tenant_scope(tenant):
        TenantLimits.objects.update(max_open_calls=count + 2)
        for _ in range(count):
            call, sound = make_call(status="ended", finalized=True), b"OggS" + os.urandom(SIZE)
            path, sha256 = root / str(call.pk) / "recording.ogg", hashlib.sha256(sound).hexdigest()
            path.parent.mkdir(parents=True)
            path.write_bytes(sound)
            entry = {"op": "recording", "state": "spooled", "path": str(path), "size": len(sound), "sha256": sha256}
            apply_entries(call_id=call.pk, job_id=JOB, entries=[entry])
            made[f"recordings/{tenant.pk}/{call.pk}.ogg"] = sha256
    return made


def crashed(tenant: Tenant, root: Path) -> Call:
    """A running call whose job has left its journal, the last in the spool."""
    with tenant_scope(tenant):
        call = make_call(status="in_progress")
    with JournalFile(root / str(call.pk), header=Header(call_id=call.pk, job_id=JOB)):
        return call


def drain(server: GcsServer, root: Path) -> float:
    """Sweeps as a host does, through an outage and after it; seconds from the bucket's return to an empty spool."""
    spool, back = Spool(root), time.monotonic() + DOWN_S
    server.is_down = True
    mended = Timer(DOWN_S, setattr, (server, "is_down", False))
    mended.start()
    while spool.waiting():
        if time.monotonic() > back + _PATIENCE_S:
            raise TimeoutError(f"{len(spool.waiting())} recordings were not handed in")
        spool.sweep()
        time.sleep(SWEEP_S if spool.waiting() else 0)
    mended.join()
    return time.monotonic() - back


def upload_queue(report: Report, server: GcsServer, tenant: Tenant, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wanted = spooled(tenant, Path(folder), count)
        left, began = crashed(tenant, Path(folder)), database_now()
        took = drain(server, Path(folder))
    found = {name: hashlib.sha256(content).hexdigest() for name, content in server.objects.items()}
    with tenant_scope(tenant):
        stored = Recording.objects.filter(state=Recording.State.STORED).count()
        told = CallEvent.objects.filter(kind="recording_stored").count()
        left.refresh_from_db()
        ready = OutboxEvent.objects.filter(topic="recording.ready").count()
    right = sum(found.get(name) == sha256 for name, sha256 in wanted.items())
    report.add("from its return to all stored", took, "s")
    report.add("stored", count / took, "files/s")
    report.add("journal of a crashed job waited", (left.finalized_at - began).total_seconds(), "s")
    report.add("lost", count - min(stored, right), "", target="0", ok=stored == right == count)
    twice = max(told, ready, len(found)) - count
    report.add("stored or told twice", twice, "", target="0", ok=twice == 0)


def rate(count: int, ask: Callable[[], Any]) -> float:
    began = time.perf_counter()
    for _ in range(count):
        ask()
    return count / (time.perf_counter() - began)


def links(report: Report, tenant: Tenant) -> None:
    """As a listener is led to the bucket; signed with the service account's key."""
    storage, name = storage_at("gcs"), f"{tenant.pk}/{uuid4()}.ogg"
    asked = {"expiration": link_cache.HOLDS, "response_type": "audio/ogg"}

    def sign() -> str:
        return storage.url(name, asked)

    sign()
    link_cache.forget()
    anew = rate(_UNCACHED, sign)
    cached = rate(_CACHED, lambda: link_cache.signed((tenant.pk.hex, name), sign))
    report.add("links signed anew", anew, "links/s")
    report.add("links from the cache", cached, "links/s")
    report.add("ratio of cache to signing", cached / anew, "×")


def run(*, quick: bool = False, count: int = 100) -> Report:
    slug = f"benchmark-{uuid4().hex[:12]}"
    tenant, report = create_tenant(name=slug, slug=slug), Report("recordings")
    with bucket() as server:
        upload_queue(report, server, tenant, 3 if quick else count)
        links(report, tenant)
    report.notes.append(
        f"{SIZE / 1000:.0f} kB each, one host, bucket on this machine, away for {DOWN_S:g} s; a sweep each {SWEEP_S:g} s"
    )
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.recordings", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few recordings, for a smoke test")
    parser.add_argument("--count", type=int, default=100, help="recordings in the spool")
    options = parser.parse_args()
    prepare_database()
    return run(quick=options.quick, count=options.count).publish()


if __name__ == "__main__":
    sys.exit(main())
