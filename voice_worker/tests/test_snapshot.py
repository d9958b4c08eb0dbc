"""Reading what a call runs on."""

import dataclasses
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.pipeline import VersionSettings
from calls.models import Call
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.services.features import set_feature
from voice_worker.snapshot import CallSnapshot, load_snapshot
from voice_worker.tests.calling import make_job

PROJECT = Path(__file__).resolve().parents[2]


def test_a_snapshot_takes_three_queries(tenant: Tenant, spool: Path) -> None:
    job = make_job(tenant)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        began = time.perf_counter()
        snapshot = load_snapshot(job.call_id)
        took = time.perf_counter() - began
    assert len(queries) <= 3
    assert took < 0.5
    assert {grant.key for grant in snapshot.grants} == {"end_call", "take_message"}
    assert snapshot.features["voice-agent-tool-take-message"] == {"max_per_call": 2}


def test_a_snapshot_cannot_change_and_holds_no_rows(tenant: Tenant, spool: Path) -> None:
    snapshot = load_snapshot(make_job(tenant).call_id)
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.kind = "inbound"  # type: ignore[misc]
    parts: list[Any] = [getattr(snapshot, field.name) for field in dataclasses.fields(CallSnapshot)]
    assert not any(hasattr(part, "_meta") for part in parts)
    assert isinstance(snapshot.settings, VersionSettings)


@pytest.mark.parametrize(("wanted", "allowed"), [(True, True), (True, False), (False, True)])
def test_a_call_is_recorded_when_version_and_tenant_want_it(tenant: Tenant, spool: Path, *, wanted: bool, allowed: bool) -> None:
    with tenant_scope(tenant):
        set_feature(key="call-recording", enabled=allowed, config={}, actor=None, reason="test")
    job = make_job(tenant, recording={"mode": "on" if wanted else "off"})
    assert load_snapshot(job.call_id).is_recorded is (wanted and allowed)


def test_an_unknown_call_has_none(tenant: Tenant, spool: Path) -> None:
    with pytest.raises(Call.DoesNotExist):
        load_snapshot(tenant.pk)


def test_preloading_touches_nothing_a_job_must_not_inherit(database_env: dict[str, str]) -> None:
    """The forkserver imports everything; a connection, thread or socket made then would be shared by all jobs."""
    program = """
import os, threading
import voice_worker.preloaded
from django.db import connections
connected = [c for c in connections.all(initialized_only=True) if c.connection]
open_files = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
sockets = [name for name in open_files if name.startswith("socket")]
print(connected, threading.active_count(), sockets, len(os.listdir("/proc/self/task")))
"""
    env = database_env | {"DJANGO_SETTINGS_MODULE": "voiceplatform.settings.worker", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=env, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[] 1 [] 1"


def test_no_job_reads_the_certificate_authorities_again(database_env: dict[str, str]):
    program = """
import asyncio, ssl
import voice_worker.preloaded
from livekit.agents.utils import http_context

def read(*args, **kwargs):
    raise SystemExit("read again")

ssl.create_default_context = read

async def use():
    session = http_context._new_session_ctx()()
    await session.close()

asyncio.run(use())
"""
    env = database_env | {"DJANGO_SETTINGS_MODULE": "voiceplatform.settings.worker", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=env, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
