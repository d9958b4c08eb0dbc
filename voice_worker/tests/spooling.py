"""Recordings that wait in a spool, and a storage that is away."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calls.models import Call
from calls.services.journal import apply_entries
from calls.testing import JOB, make_call
from tenants.models import Tenant
from tenants.scope import tenant_scope

SOUND = b"OggS" + bytes(5000)


def make_waiting(tenant: Tenant, spool: Path) -> Call:
    """An ended call whose recording is in the spool and announced."""
    with tenant_scope(tenant):
        call = make_call(status="ended", finalized=True)
        path = spool / str(call.pk) / "recording.ogg"
        path.parent.mkdir(parents=True)
        path.write_bytes(SOUND)
        sha256 = hashlib.sha256(SOUND).hexdigest()
        entry = {"op": "recording", "state": "spooled", "path": str(path), "size": len(SOUND), "sha256": sha256}
        apply_entries(call_id=call.pk, job_id=JOB, entries=[entry])
    return call


@contextmanager
def storage_away(files: Path) -> Iterator[None]:
    """`files` is the folder in which the storage has its own."""
    (files / "files").write_text("a file where the storage's folder should be")
    yield
    (files / "files").unlink()
