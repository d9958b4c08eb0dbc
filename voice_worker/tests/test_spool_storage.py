"""Recordings on their way into a storage that is away, or from a disk that is full."""

import errno
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from calls.models import Call, Recording
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker.recording import OpusFile
from voice_worker.spool import Spool
from voice_worker.tests.calling import make_job, stored, talk
from voice_worker.tests.spooling import SOUND, make_waiting, storage_away


@pytest.fixture
def waiting(caller_tenant: Tenant, spool: Path) -> Call:
    return make_waiting(caller_tenant, spool)


def test_a_storage_that_is_down_for_an_hour_loses_nothing(
    waiting: Call, caller_tenant: Tenant, spool: Path, tmp_path: Path
) -> None:
    seconds = 0.0
    at = Spool(spool, clock=lambda: seconds)
    with storage_away(tmp_path):
        while seconds < 3600:
            assert at.sweep() == 0
            seconds += 1
    with tenant_scope(caller_tenant):
        recording = Recording.objects.get()
    assert (recording.state, recording.problem) == ("spooled", "unreachable")
    assert 30 <= recording.tries <= 40
    seconds += 120
    assert at.sweep() == 1
    with tenant_scope(caller_tenant):
        assert (Recording.objects.get().state, waiting.events.filter(kind="recording_waits").count()) == ("stored", 1)
    assert (tmp_path / "files" / "recordings" / str(caller_tenant.pk) / f"{waiting.pk}.ogg").read_bytes() == SOUND


@pytest.mark.parametrize(("blocks", "state"), [(0, "lost"), (20, "spooled")])
async def test_the_call_goes_on_when_the_disk_is_full(
    caller_tenant: Tenant, monkeypatch: pytest.MonkeyPatch, blocks: int, state: str
) -> None:
    write, written = OpusFile.write, count()

    def until_full(file: OpusFile, block: Any) -> None:
        if next(written) >= blocks:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, block)

    monkeypatch.setattr(OpusFile, "write", until_full)
    job = await sync_to_async(make_job)(caller_tenant)
    async with talk(job) as (line, _):
        await line.reply()
        await line.ask()
        await line.ask()
    call = await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: call)
    recording = await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: call.recordings.get())
    turns = await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: call.turns.count())
    assert (call.disposition, turns, recording.state) == ("completed", 5, state)
    assert recording.detail == "The disk of the worker host was full (No space left on device)."
    assert (recording.cut_short, recording.duration_ms) == ((True, pytest.approx(2000, abs=100)) if blocks else (False, None))
