"""Entries on their way to the database: in order, on the disk at once, never lost."""

import asyncio
import errno
import json
import os
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from calls.models import Turn
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker import records as module
from voice_worker.entrypoint import Job
from voice_worker.journal_file import Header, JournalBusyError, JournalFile
from voice_worker.records import Records
from voice_worker.tests.calling import make_job


def turn(number: int, text: str = "hello") -> dict[str, Any]:
    return {"op": "turn", "sequence": number, "speaker": "caller", "text": text, "source": "speech"}


@pytest.fixture
async def job(caller_tenant: Tenant) -> Job:
    return await sync_to_async(_claimed)(caller_tenant)


def _claimed(tenant: Tenant) -> Job:
    from calls.services import claim_call

    job = make_job(tenant)
    claim_call(call_id=job.call_id, job_id=job.job_id, host_id=job.host_id)
    return job


def open_records(job: Job, **options: Any) -> Records:
    return Records(call_id=job.call_id, job_id=job.job_id, folder=job.folder, loop=asyncio.get_running_loop(), **options)


def texts(call_id: UUID, tenant: Tenant) -> list[str]:
    with tenant_scope(tenant):
        return list(Turn.objects.filter(call_id=call_id).values_list("text", flat=True))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()][1:]


async def test_entries_are_stored_within_half_a_second_and_leave_no_file(job: Job, caller_tenant: Tenant) -> None:
    records = open_records(job)
    for number in range(3):
        records.append(turn(number, f"text {number}"))
    await asyncio.sleep(0.8)
    assert await sync_to_async(texts)(job.call_id, caller_tenant) == ["text 0", "text 1", "text 2"]
    assert lines(job.folder) == []
    assert await records.aclose(timeout_s=5)
    assert not (job.folder / "journal.jsonl").exists()


async def test_an_entry_is_on_the_disk_before_the_database_has_it(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(module, "apply_entries", lambda **_: gate.wait(10))
    records = open_records(job)
    await records.append_durably(turn(1))
    assert [entry["sequence"] for entry in lines(job.folder)] == [1]
    gate.set()
    assert await records.aclose(timeout_s=5)


async def test_while_the_database_fails_entries_wait_and_then_come_in_order(
    job: Job, caller_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, apply = threading.Event(), module.apply_entries
    failing.set()

    def flaky(**batch: Any) -> Any:
        if failing.is_set():
            raise OperationalError("the database is away")
        return apply(**batch)

    monkeypatch.setattr(module, "apply_entries", flaky)
    records = open_records(job)
    for text in ("first", "second", "third"):
        records.append(turn(1, text))
        await asyncio.sleep(0.3)
    assert len(lines(job.folder)) == 3
    failing.clear()
    assert await records.aclose(timeout_s=10)
    assert await sync_to_async(texts)(job.call_id, caller_tenant) == ["third"]


async def test_what_does_not_reach_the_database_in_time_stays_in_the_file(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    back = threading.Event()

    def away(**_: Any) -> None:
        if not back.is_set():
            raise OperationalError("the database is away")

    monkeypatch.setattr(module, "apply_entries", away)
    records = open_records(job)
    records.append(turn(1))
    assert not await records.aclose(timeout_s=1)
    assert len(lines(job.folder)) == 1
    back.set()
    assert await records.aclose(timeout_s=10)


async def test_a_call_begins_on_a_disk_that_takes_no_journal(job: Job, caller_tenant: Tenant) -> None:
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    job.folder.write_text("where the folder should be")
    records = open_records(job)
    records.append(turn(1, "full"))
    await asyncio.sleep(0.8)
    assert await sync_to_async(texts)(job.call_id, caller_tenant) == ["full"]
    job.folder.unlink()
    await records.append_durably(turn(2, "mended"))
    assert (job.folder / "journal.jsonl").is_file()
    assert await records.aclose(timeout_s=5)
    assert await sync_to_async(texts)(job.call_id, caller_tenant) == ["full", "mended"]
    assert not (job.folder / "journal.jsonl").exists()


async def test_a_call_of_another_job_is_left_alone(job: Job, caller_tenant: Tenant) -> None:
    other = Job(call_id=job.call_id, job_id="somebody-else", host_id=job.host_id)
    records = open_records(other)
    records.append(turn(1))
    await asyncio.wait_for(records.disowned.wait(), 5)
    assert not await records.aclose(timeout_s=2)
    assert await sync_to_async(texts)(job.call_id, caller_tenant) == []


async def test_the_observer_sees_entries_as_they_come(job: Job) -> None:
    seen: list[Any] = []
    records = open_records(job, observe=seen.append)
    records.append(turn(1))
    assert [entry["op"] for entry in seen] == ["turn"]
    await records.aclose(timeout_s=5)


def test_a_journal_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    header = Header(call_id=UUID(int=1), job_id="job")
    with JournalFile(tmp_path, header=header) as journal:
        with pytest.raises(JournalBusyError):
            JournalFile(tmp_path)
        journal.append([turn(1)])
    with JournalFile(tmp_path) as journal:
        assert journal.read() == (header, [turn(1)])
        journal.clear()
        assert journal.read() == (header, [])


def test_a_line_cut_short_by_a_crash_does_not_count(tmp_path: Path) -> None:
    with JournalFile(tmp_path, header=Header(call_id=UUID(int=1), job_id="job")) as journal:
        journal.append([turn(1), turn(2)])
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"op": "turn", "sequ')
    with JournalFile(tmp_path) as journal:
        assert [entry["sequence"] for entry in journal.read()[1]] == [1, 2]


def test_a_line_cut_short_by_a_full_disk_hides_nothing_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 10:
            return write(descriptor, data[: len(data) - 10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with JournalFile(tmp_path, header=Header(call_id=UUID(int=1), job_id="job")) as journal:
        journal.append([turn(1)])
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            journal.append([turn(2)])
        monkeypatch.setattr(os, "write", write)
        journal.append([turn(3)])
        assert [entry["sequence"] for entry in journal.read()[1]] == [1, 3]
