from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from calls.clock import database_now
from calls.endings import why_it_ended
from calls.models import Call, CallCommand, CallEvent, Recording, SweepRun, WorkerHost
from calls.services import claim_call, finalizing, hosts, local_queue, sweeps
from calls.services.commands import request_hang_up, take_commands
from calls.services.sweeps import Swept
from calls.testing import JOB
from tenants.models import Tenant
from tenants.scope import tenant_scope

Make = Callable[..., Call]
MakeHost = Callable[..., WorkerHost]
NOTHING = Swept(requeued=0, expired=0, unclaimed=0, lost=0, unheeded=0, overtime=0, parted=0, finalized=0, retired=0)


def run(*, since: datetime, until: float, every: float = 5.0) -> Swept:
    """Sweep every few seconds from `since`; returns what the last sweep did."""
    done, at = NOTHING, 0.0
    while at <= until:
        done = sweeps.sweep(now=since + timedelta(seconds=at))
        at += every
    return done


def beat(host: WorkerHost, at: datetime, *job_ids: str, spooled: tuple[str, ...] = ()) -> None:
    """A beat at a time of the test's choice."""
    host.previous_beat_at, host.last_beat_at = host.last_beat_at, at
    host.previous_job_ids, host.job_ids, host.spooled_call_ids = host.job_ids, list(job_ids), list(spooled)
    host.save()


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def outcome(call: Call) -> tuple[str, str, str]:
    call.refresh_from_db()
    return call.status, call.disposition, call.ended_reason


def test_an_unclaimed_local_call_waits_again_after_20_seconds(make_call: Make) -> None:
    call = make_call(status="dispatched", job_id="")
    assert call.dispatched_at
    assert sweeps.requeue_unclaimed(now=call.dispatched_at + seconds(19.9)) == 0
    assert sweeps.requeue_unclaimed(now=call.dispatched_at + seconds(20)) == 1
    call.refresh_from_db()
    assert (call.status, call.host_id, call.dispatched_at, call.job_id) == ("queued", None, None, "")


def test_a_claimed_call_is_not_taken_back(make_call: Make) -> None:
    call = make_call(status="dispatched")
    assert sweeps.requeue_unclaimed(now=database_now() + seconds(60)) == 0
    assert outcome(call)[0] == "dispatched"


def test_a_job_that_claims_while_the_sweep_runs_keeps_the_call(make_call: Make, make_host: MakeHost) -> None:
    call, host = make_call(status="dispatched", job_id=""), make_host()

    def claim_first(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if "COUNT" in sql and "calls_callevent" in sql:
            claim_call(call_id=call.pk, job_id=JOB, host_id=host.pk)
        return execute(sql, *rest)

    with connection.execute_wrapper(claim_first):
        assert sweeps.requeue_unclaimed(now=database_now() + seconds(30)) == 0
    assert outcome(call)[0] == "dispatched"
    assert call.job_id == JOB


def test_a_local_call_nobody_ever_claims_fails(make_call: Make, make_host: MakeHost) -> None:
    call, host = make_call(), make_host()
    for _ in range(sweeps.MAX_DISPATCHES):
        assert local_queue.take_local_calls(host_id=host.pk, limit=1) == [call.pk]
        sweeps.requeue_unclaimed(now=database_now() + seconds(30))
    assert outcome(call) == ("ended", "failed", "no_worker")


def test_a_call_waits_for_its_time_and_is_canceled_after_it(make_call: Make, make_host: MakeHost) -> None:
    begin, host = database_now() + seconds(100), make_host()
    call = make_call(not_before=begin, not_after=begin + seconds(60))
    assert local_queue.take_local_calls(host_id=host.pk, limit=5) == []
    assert sweeps.cancel_expired(now=begin + seconds(59)) == 0
    assert sweeps.sweep(now=begin + seconds(60)).expired == 1
    assert outcome(call) == ("ended", "canceled", "expired")
    assert "No worker could take it" in why_it_ended(call)


def test_a_call_is_handed_out_within_its_time_only(make_call: Make, make_host: MakeHost) -> None:
    now, host = database_now(), make_host()
    due, late = (make_call(not_before=now - seconds(10)) for _ in range(2))
    Call.objects.filter(pk=late.pk).update(not_after=now - seconds(1))
    assert local_queue.take_local_calls(host_id=host.pk, limit=5) == [due.pk]
    assert sweeps.cancel_expired(now=now + timedelta(hours=2)) == 1
    assert outcome(due)[0] == "dispatched", "it began in time"
    assert outcome(late) == ("ended", "canceled", "expired")


def test_a_call_that_a_host_takes_while_the_sweep_runs_is_not_canceled(make_call: Make, make_host: MakeHost) -> None:
    call, host = make_call(not_before=database_now(), not_after=database_now() + seconds(30)), make_host()
    taken: list[Any] = []

    def take_first(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if not taken and "FOR NO KEY UPDATE" in sql:
            taken.append(call.pk)
            assert local_queue.take_local_calls(host_id=host.pk, limit=1) == [call.pk]
        return execute(sql, *rest)

    with connection.execute_wrapper(take_first):
        assert sweeps.cancel_expired(now=database_now() + seconds(60)) == 0
    assert outcome(call)[0] == "dispatched"


def test_a_call_in_a_room_nobody_comes_to_fails_after_45_seconds(make_call: Make, make_host: MakeHost) -> None:
    call = make_call(kind="web", status="dispatched", job_id="")
    claimed = make_call(kind="web", status="dispatched", job_id=JOB)
    assert call.dispatched_at
    gone = sweeps.Gone.at(call.dispatched_at)
    assert sweeps.fail_unclaimed(now=call.dispatched_at + seconds(44), gone=gone) == 0
    assert sweeps.requeue_unclaimed(now=call.dispatched_at + seconds(44)) == 0
    assert sweeps.fail_unclaimed(now=call.dispatched_at + seconds(50), gone=gone) == 1
    assert outcome(call) == ("ended", "failed", "no_worker")
    assert outcome(claimed)[0] == "dispatched"


def test_a_call_placed_for_a_host_that_left_fails(make_call: Make, make_host: MakeHost) -> None:
    host, other = make_host(), make_host()
    call, waiting = make_call(host=host), make_call(host=other)
    hosts.retire_host(host_id=host.pk)
    assert sweeps.sweep().unclaimed == 1
    assert outcome(call) == ("ended", "failed", "no_worker")
    assert outcome(waiting)[0] == "queued"


def test_a_call_whose_job_misses_two_beats_is_lost(make_call: Make, make_host: MakeHost) -> None:
    host = make_host()
    call = make_call(status="in_progress", host=host)
    hosts.beat_host(host_id=host.pk, job_ids=[])
    assert sweeps.sweep().lost == 0, "the beat may have been put together before the job began"
    hosts.beat_host(host_id=host.pk, job_ids=[])
    assert sweeps.sweep().lost == 1
    assert outcome(call) == ("ended", "failed", "worker_lost")


@pytest.mark.parametrize("beats", [([JOB], []), ([], [JOB]), ([JOB], [JOB])])
def test_a_job_in_one_of_two_beats_is_there(make_call: Make, make_host: MakeHost, beats: tuple[list[str], list[str]]) -> None:
    host = make_host()
    call = make_call(status="in_progress", host=host)
    for job_ids in beats:
        hosts.beat_host(host_id=host.pk, job_ids=job_ids)
    assert sweeps.sweep().lost == 0
    assert outcome(call)[0] == "in_progress"


def test_a_job_that_began_between_the_beats_is_there(make_call: Make, make_host: MakeHost) -> None:
    host = make_host()
    call = make_call(host=host)
    hosts.beat_host(host_id=host.pk)
    claim_call(call_id=call.pk, job_id=JOB, host_id=host.pk)
    hosts.beat_host(host_id=host.pk)
    assert sweeps.sweep().lost == 0


def test_a_frozen_host_loses_its_calls_after_15_seconds(make_call: Make, make_host: MakeHost) -> None:
    start = database_now()
    host = make_host(at=start)
    call = make_call(status="in_progress", host=host, at=start)
    assert run(since=start - seconds(60), until=75).lost == 0
    assert sweeps.sweep(now=start + seconds(16)).lost == 1
    assert outcome(call) == ("ended", "failed", "worker_lost")


def test_after_a_database_outage_hosts_get_15_seconds_to_beat(make_call: Make, make_host: MakeHost) -> None:
    start = database_now()
    host = make_host(at=start)
    call = make_call(status="in_progress", host=host, at=start)
    run(since=start - seconds(60), until=60)
    back = start + seconds(40)
    assert run(since=back, until=15).lost == 0, "nobody could beat while the database was away"
    beat(host, back + seconds(12), JOB)
    assert run(since=back + seconds(16), until=10).lost == 0
    assert outcome(call)[0] == "in_progress"
    assert run(since=back + seconds(27), until=5).lost == 1, "silent while the sweeps ran"


def test_the_sweeps_know_since_when_they_run_steadily(tenant: Tenant) -> None:
    start = database_now()
    assert sweeps.note_run(now=start) == start
    assert sweeps.note_run(now=start + seconds(10)) == start
    assert sweeps.note_run(now=start + seconds(20.1)) == start + seconds(20.1)
    assert sweeps.note_run(now=start + seconds(12)) == start + seconds(20.1), "a late process changes nothing"
    assert SweepRun.objects.get().last_run_at == start + seconds(20.1)


def test_a_call_far_over_its_longest_duration_ends(make_call: Make, make_host: MakeHost) -> None:
    call = make_call(status="in_progress")
    assert call.answered_at
    limit = call.answered_at + seconds(call.max_duration_s)
    assert sweeps.end_overtime(now=limit + seconds(60)) == 0
    assert sweeps.end_overtime(now=limit + seconds(61)) == 1
    assert outcome(call) == ("ended", "completed", "max_duration")


def test_a_job_in_a_room_that_does_not_hang_up_has_7_seconds(make_call: Make) -> None:
    local, in_room, heeded = make_call(status="in_progress"), *(make_call(status="in_progress", kind="web") for _ in range(2))
    for call in (local, in_room, heeded):
        request_hang_up(call)
    take_commands(heeded.pk)
    asked = CallCommand.objects.get(call=in_room).created_at
    assert sweeps.end_unheeded(now=asked + seconds(6.9)) == 0
    assert sweeps.end_unheeded(now=CallCommand.objects.latest("created_at").created_at + seconds(7)) == 1
    assert outcome(in_room) == ("ended", "canceled", "canceled_by_user")
    assert (outcome(local)[0], outcome(heeded)[0]) == ("in_progress", "in_progress")


def test_a_claimed_call_that_never_begins_ends(make_call: Make) -> None:
    call = make_call(status="dispatched")
    assert call.claimed_at
    assert sweeps.end_overtime(now=call.claimed_at + seconds(call.max_duration_s + 61)) == 1
    assert outcome(call) == ("ended", "failed", "max_duration")


def test_people_who_were_connected_need_no_job(make_call: Make, make_host: MakeHost) -> None:
    host = make_host()
    call = make_call(status="in_progress", host=host)
    phone = {"phone": "+12125550101", "room": "out-1"}
    Call.objects.filter(pk=call.pk).update(status="handed_over", kind="outbound", transport="livekit", **phone)
    connected_at = database_now()
    CallEvent.objects.create(call=call, kind="handed_over", at=connected_at)
    hosts.retire_host(host_id=host.pk)
    done = sweeps.sweep(now=connected_at + timedelta(minutes=119))
    assert (done.lost, done.overtime, done.parted) == (0, 0, 0)
    assert sweeps.sweep(now=connected_at + timedelta(hours=2)).parted == 1
    assert outcome(call) == ("ended", "completed", "max_duration")


def ended_call(make_call: Make, host: WorkerHost) -> tuple[Call, datetime]:
    call = make_call(status="ended", host=host)
    assert call.ended_at
    return call, call.ended_at


def test_an_abandoned_call_is_finalised_after_60_seconds(make_call: Make, make_host: MakeHost) -> None:
    host = make_host()
    call, ended = ended_call(make_call, host)
    hosts.retire_host(host_id=host.pk)
    assert sweeps.sweep(now=ended + seconds(59)).finalized == 0
    assert sweeps.sweep(now=ended + seconds(60)).finalized == 1
    assert sweeps.sweep(now=ended + seconds(65)).finalized == 0
    recording = Recording.objects.get(call=call)
    assert recording.state == "lost"
    assert list(CallEvent.objects.filter(kind="finalized").values_list("call", flat=True)) == [call.pk]


def test_a_call_whose_job_still_runs_is_left_to_it_for_ten_minutes(make_call: Make, make_host: MakeHost) -> None:
    host = make_host()
    call, ended = ended_call(make_call, host)
    beat(host, ended + seconds(600), JOB)
    assert sweeps.sweep(now=ended + seconds(599)).finalized == 0
    assert sweeps.sweep(now=ended + seconds(600)).finalized == 1
    assert CallEvent.objects.filter(call=call, kind="finalized").count() == 1


def test_a_call_with_a_spool_waits_for_it_ten_minutes(make_call: Make, make_host: MakeHost) -> None:
    host, successor = make_host(), make_host()
    call, ended = ended_call(make_call, host)
    hosts.retire_host(host_id=host.pk)
    beat(successor, ended + seconds(600), spooled=(str(call.pk),))
    assert sweeps.sweep(now=ended + seconds(599)).finalized == 0
    beat(successor, ended + seconds(600))
    assert sweeps.sweep(now=ended + seconds(599)).finalized == 1


def test_a_call_that_was_never_answered_has_no_recording_to_lose(make_call: Make) -> None:
    call = make_call()
    from calls.services import end_call

    end_call(call_id=call.pk, disposition="canceled", ended_reason="canceled_by_user")
    assert sweeps.sweep(now=database_now() + seconds(61)).finalized == 1
    assert not Recording.objects.exists()


def test_a_call_that_cannot_be_finalised_does_not_hold_up_the_others(make_call: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    poison, sound = (make_call(status="ended") for _ in range(2))
    rate = finalizing.rate_usage

    def refuse(**given: object) -> object:
        if given["subject_id"] == poison.pk:
            raise ZeroDivisionError("no rate is zero")
        return rate(**given)  # type: ignore[arg-type]

    monkeypatch.setattr(finalizing, "rate_usage", refuse)
    assert sweeps.sweep(now=database_now() + timedelta(minutes=11)).finalized == 1
    sound.refresh_from_db()
    assert sound.finalized_at
    assert not Recording.objects.filter(call=poison).exists()


def test_sweeps_serve_every_tenant(make_tenant: Callable[..., Tenant]) -> None:
    from calls.testing import make_call

    for tenant in (make_tenant(), make_tenant()):
        with tenant_scope(tenant):
            make_call(status="dispatched", job_id="")
    assert sweeps.sweep(now=database_now() + seconds(21)).requeued == 2


def test_a_round_ends_what_nobody_else_ends(make_call: Make) -> None:
    make_call(kind="web", status="dispatched", job_id="")
    unheeded, overtime = (make_call(kind="web", status="in_progress") for _ in range(2))
    request_hang_up(unheeded)
    done = sweeps.sweep(now=database_now() + seconds(50))
    assert (done.unclaimed, done.unheeded, done.overtime) == (1, 1, 0)
    assert overtime.answered_at
    assert sweeps.sweep(now=overtime.answered_at + seconds(overtime.max_duration_s + 61)).overtime == 1


def test_a_host_that_was_killed_is_retired_after_an_hour(make_host: MakeHost) -> None:
    host = make_host()
    assert run(since=host.last_beat_at + timedelta(minutes=59), until=30).retired == 0
    run(since=host.last_beat_at + timedelta(minutes=60, seconds=1), until=20)
    host.refresh_from_db()
    assert host.retired_at


def test_the_task_runs_the_sweeps(make_call: Make) -> None:
    from calls.tasks import sweep_calls

    call = make_call(status="dispatched", job_id="")
    Call.objects.filter(pk=call.pk).update(dispatched_at=database_now() - seconds(21))
    sweep_calls()
    assert outcome(call)[0] == "queued"
