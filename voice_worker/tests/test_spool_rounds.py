"""Many calls wait in one spool: what is away stops the round, what is one call's own stops nobody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections
from structlog.testing import capture_logs

from calls.clock import database_now
from calls.models import Call, Recording
from calls.testing import JOB, make_call
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker.journal_file import Header, JournalFile
from voice_worker.spool import SET_ASIDE, Spool
from voice_worker.tests.spooling import make_waiting, storage_away


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recordings(caller_tenant: Tenant, spool: Path) -> list[UUID]:
    """Three ended calls whose recordings are in the spool and announced."""
    return [make_waiting(caller_tenant, spool).pk for _ in range(3)]


def crashed(tenant: Tenant, spool: Path, *, job_id: str = JOB) -> UUID:
    """A running call whose job left its journal behind."""
    with tenant_scope(tenant):
        call = make_call(status="in_progress")
    with JournalFile(spool / str(call.pk), header=Header(call_id=call.pk, job_id=job_id)) as journal:
        journal.append([{"op": "event", "kind": "noted", "key": "1", "at": database_now().isoformat(), "data": {}}])
    return call.pk


@contextmanager
def database_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    options = {name: value for name, value in connection.settings_dict["OPTIONS"].items() if name not in ("pool", "host", "port")}
    connections.close_all()
    with monkeypatch.context() as patch:
        for name, value in {"HOST": "127.0.0.1", "PORT": "1", "OPTIONS": options}.items():
            patch.setitem(connection.settings_dict, name, value)
        yield


def states(tenant: Tenant, calls: list[UUID]) -> list[tuple[str, int]]:
    with tenant_scope(tenant):
        found = {row.call_id: (row.state, row.tries) for row in Recording.objects.all()}
    return [found[call_id] for call_id in calls]


def status(tenant: Tenant, call_id: UUID) -> tuple[str, bool]:
    with tenant_scope(tenant):
        call = Call.objects.get(pk=call_id)
    return call.status, call.finalized_at is not None


def postponed(logs: list[Any]) -> int:
    return sum(line["event"] == "records could not be handed in yet" for line in logs)


def test_journals_do_not_wait_for_a_storage_that_is_away(
    recordings: list[UUID], caller_tenant: Tenant, spool: Path, tmp_path: Path
) -> None:
    last = crashed(caller_tenant, spool)
    with storage_away(tmp_path):
        assert Spool(spool).sweep() == 1
    assert status(caller_tenant, last) == ("ended", True)
    assert sorted(tries for _, tries in states(caller_tenant, recordings)) == [0, 0, 1]


def test_all_is_uploaded_in_one_round_when_the_storage_is_back(
    recordings: list[UUID], caller_tenant: Tenant, spool: Path, tmp_path: Path, clock: Clock
) -> None:
    at, tries = Spool(spool, clock=clock), []
    with storage_away(tmp_path):
        while clock.seconds < 3600:
            assert at.sweep() == 0
            tries.append(sum(tried for _, tried in states(caller_tenant, recordings)))
            clock.seconds += 30
    assert tries[-1] <= 3 * 36
    assert max(after - before for before, after in zip([0, *tries], tries, strict=False)) == 1
    clock.seconds += 120
    assert at.sweep() == 3
    assert {state for state, _ in states(caller_tenant, recordings)} == {"stored"}


def test_a_recording_that_the_storage_refuses_does_not_hold_up_the_others(
    recordings: list[UUID], caller_tenant: Tenant, spool: Path, tmp_path: Path, clock: Clock
) -> None:
    refused, *others = recordings
    (tmp_path / f"files/recordings/{caller_tenant.pk}/{refused}.ogg/in the way").mkdir(parents=True)
    at = Spool(spool, clock=clock)
    assert at.sweep() == 0
    clock.seconds += 2
    assert at.sweep() == 2
    assert [state for state, _ in states(caller_tenant, [refused, *others])] == ["spooled", "stored", "stored"]
    for _ in range(30):
        clock.seconds += 60
        at.sweep()
    following = make_waiting(caller_tenant, spool).pk
    clock.seconds += 2
    at.sweep()
    assert states(caller_tenant, [following])[0][0] == "stored"


def test_what_is_damaged_or_foreign_is_set_aside_and_the_others_go_on(
    recordings: list[UUID], caller_tenant: Tenant, spool: Path
) -> None:
    damaged, *others = recordings
    (spool / str(damaged) / "recording.ogg").write_bytes(b"another")
    foreign, mine = crashed(caller_tenant, spool, job_id="another"), crashed(caller_tenant, spool)
    assert Spool(spool).sweep() == 5
    assert {state for state, _ in states(caller_tenant, others)} == {"stored"}
    assert (status(caller_tenant, foreign)[0], status(caller_tenant, mine)) == ("in_progress", ("ended", True))
    assert {folder.name for folder in (spool / SET_ASIDE).iterdir()} == {str(damaged), str(foreign)}


def test_a_database_that_is_away_is_asked_once_a_round(
    recordings: list[UUID], caller_tenant: Tenant, spool: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    at, calls = Spool(spool, clock=clock), [crashed(caller_tenant, spool) for _ in range(3)]
    with database_away(monkeypatch):
        for pause in (0, 1, 1):
            clock.seconds += pause
            with capture_logs() as logs:
                assert at.sweep() == 0
            assert postponed(logs) == (pause == 0 or clock.seconds == 2)
    clock.seconds += 4
    assert at.sweep() == 6
    assert {status(caller_tenant, call_id) for call_id in calls} == {("ended", True)}
    assert {state for state, _ in states(caller_tenant, recordings)} == {"stored"}


def test_one_call_is_handed_in_at_once_whatever_the_round_waits_for(
    recordings: list[UUID], caller_tenant: Tenant, spool: Path, tmp_path: Path, clock: Clock
) -> None:
    at = Spool(spool, clock=clock)
    with storage_away(tmp_path):
        at.sweep()
    assert at.sweep() == 0
    assert at.hand_in(recordings[2])
    at.sweep()
    assert at.waiting() == []


def test_calls_that_end_at_once_in_an_outage_do_not_make_the_pause_long(
    recordings: list[UUID], spool: Path, tmp_path: Path, clock: Clock
) -> None:
    at = Spool(spool, clock=clock)
    with storage_away(tmp_path):
        assert [at.hand_in(call_id) for call_id in recordings] == [False] * 3
    clock.seconds += 1
    at.sweep()
    assert len(at.waiting()) == 3
    clock.seconds += 1
    at.sweep()
    assert at.waiting() == []
