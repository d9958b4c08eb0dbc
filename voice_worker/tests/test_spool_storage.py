"""Recordings on their way into a storage that is away, or from a disk that is full."""

import errno
import hashlib
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from calls.models import Call, Recording
from calls.services.journal import apply_entries
from calls.testing import JOB, make_call
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker.recording import OpusFile
from voice_worker.spool import Spool
from voice_worker.tests.calling import make_job, stored, talk

SOUND = b"OggS" + bytes(5000)


@pytest.fixture
def waiting(caller_tenant: Tenant, spool: Path) -> Call:
    """An ended call whose recording is in the spool and announced."""
    with tenant_scope(caller_tenant):
        call = make_call(status="ended", finalized=True)
        path = spool / str(call.pk) / "recording.ogg"
        path.parent.mkdir(parents=True)
        path.write_bytes(SOUND)
        sha256 = hashlib.sha256(SOUND).hexdigest()
        entry = {"op": "recording", "state": "spooled", "path": str(path), "size": len(SOUND), "sha256": sha256}
        apply_entries(call_id=call.pk, job_id=JOB, entries=[entry])
    return call


def test_a_storage_that_is_down_for_an_hour_loses_nothing(
    waiting: Call, caller_tenant: Tenant, spool: Path, tmp_path: Path
) -> None:
    seconds = 0.0
    at = Spool(spool, clock=lambda: seconds)
    (tmp_path / "files").write_text("a file where the storage's folder should be")
    while seconds < 3600:
        assert at.sweep() == 0
        seconds += 1
    with tenant_scope(caller_tenant):
        recording = Recording.objects.get()
    assert (recording.state, recording.problem) == ("spooled", "unreachable")
    assert 30 <= recording.tries <= 40
    (tmp_path / "files").unlink()
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
