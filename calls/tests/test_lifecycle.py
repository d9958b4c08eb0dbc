from collections.abc import Callable
from contextvars import Context
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from calls import lifecycle
from calls.clock import database_now
from calls.models import Call, CallEvent
from calls.testing import JOB
from calls.tests.racing import race
from tenants.models import OutboxEvent, Tenant
from tenants.scope import tenant_scope

Make = Callable[..., Call]
Status = Call.Status

# As the design draws it: the ways a call of each kind may go.
WAYS = {
    "outbound": "queued>dispatched dispatched>queued dispatched>dialing dialing>ringing dialing>in_progress "
    "ringing>in_progress in_progress>handed_over",
    "inbound": "ringing>in_progress in_progress>handed_over",
    "web": "queued>dispatched dispatched>queued dispatched>in_progress",
    "simulated": "queued>dispatched dispatched>queued dispatched>in_progress",
    "chat": "queued>dispatched dispatched>queued dispatched>in_progress",
}
STATES = {
    "outbound": {"queued", "dispatched", "dialing", "ringing", "in_progress", "handed_over"},
    "inbound": {"ringing", "in_progress", "handed_over"},
    **{kind: {"queued", "dispatched", "in_progress"} for kind in ("web", "simulated", "chat")},
}


def put(call: Call, *, kind: str, status: str) -> None:
    """The row as if the call had come to `status`, whether it may or not."""
    now = database_now()
    fields: dict[str, Any] = {"status": status, "kind": kind, "transport": "livekit", "livemode": False}
    fields |= {"phone": "+12125550101", "room": f"room-{call.pk}"}
    if status != "queued":
        fields |= {"dispatched_at": now}
    if status in ("in_progress", "handed_over"):
        fields |= {"answered_at": now}
    if status == "ended":
        fields |= {"ended_at": now, "disposition": "busy", "ended_reason": "486"}
    Call.objects.filter(pk=call.pk).update(**fields)


def go(call: Call, to: str, at: datetime) -> bool:
    if to == "ended":
        return lifecycle.end(call_id=call.pk, disposition="failed", ended_reason="internal_error", at=at)
    return lifecycle.advance(call_id=call.pk, to=Status(to), at=at)


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("status", Status.values)
def test_a_call_goes_only_where_its_kind_may_go(make_call: Make, kind: str, status: str) -> None:
    call = make_call()
    put(call, kind=kind, status=status)
    for to in Status.values:
        with transaction.atomic():
            check_step(call, kind=kind, status=status, to=to)
            transaction.set_rollback(True)


def check_step(call: Call, *, kind: str, status: str, to: str) -> None:
    before = Call.objects.filter(pk=call.pk).values().get()
    events, news = CallEvent.objects.count(), OutboxEvent.objects.count()
    moved = go(call, to, database_now())
    legal = status in STATES[kind] if to == "ended" else f"{status}>{to}" in WAYS[kind].split()
    assert moved is legal
    assert CallEvent.objects.count() - events == int(legal)
    assert OutboxEvent.objects.count() - news == int(legal and to in ("in_progress", "ended"))
    after = Call.objects.filter(pk=call.pk).values().get()
    assert after["status"] == (to if legal else status)
    assert legal or after == before


def test_news_that_comes_twice_is_written_once(make_call: Make) -> None:
    call = make_call(status="in_progress")
    now = database_now()
    assert go(call, "ended", now)
    assert not go(call, "ended", now + timedelta(seconds=1))
    assert [e.kind for e in CallEvent.objects.filter(call=call, kind="ended")] == ["ended"]
    assert OutboxEvent.objects.filter(topic="call.ended").count() == 1


def test_the_first_end_decides(make_call: Make) -> None:
    call = make_call(status="in_progress")
    now = database_now()
    assert lifecycle.end(call_id=call.pk, disposition="completed", ended_reason="end_call", at=now)
    assert not lifecycle.end(call_id=call.pk, disposition="failed", ended_reason="worker_lost", at=now)
    call.refresh_from_db()
    assert (call.disposition, call.ended_reason, call.ended_at) == ("completed", "end_call", now)


def test_a_queued_call_forgets_who_had_it(make_call: Make) -> None:
    call = make_call(status="dispatched")
    assert lifecycle.advance(call_id=call.pk, to=Status.QUEUED, at=database_now(), job_id=JOB)
    call.refresh_from_db()
    assert (call.job_id, call.host_id, call.claimed_at, call.dispatched_at) == ("", None, None, None)


def test_a_job_moves_only_its_own_call(make_call: Make) -> None:
    call = make_call(status="dispatched")
    now = database_now()
    assert not lifecycle.advance(call_id=call.pk, to=Status.IN_PROGRESS, at=now, job_id="job-2")
    assert not lifecycle.end(call_id=call.pk, disposition="failed", ended_reason="idle", at=now, job_id="job-2")
    assert not lifecycle.advance(call_id=call.pk, to=Status.QUEUED, at=now, job_id=lifecycle.UNCLAIMED)
    assert lifecycle.advance(call_id=call.pk, to=Status.IN_PROGRESS, at=now, job_id=JOB)


def test_an_end_is_never_before_the_answer(make_call: Make) -> None:
    call = make_call(status="in_progress")
    assert call.answered_at
    assert go(call, "ended", call.answered_at - timedelta(minutes=5))
    call.refresh_from_db()
    assert call.ended_at == call.answered_at
    assert call.duration_s == 0


def test_a_job_corrects_an_unknown_outcome_until_the_call_is_final(make_call: Make) -> None:
    call = make_call(status="in_progress")
    now = database_now()
    lifecycle.end(call_id=call.pk, disposition="failed", ended_reason="worker_lost", at=now)
    how: dict[str, Any] = {"call_id": call.pk, "at": now, "disposition": "completed", "ended_reason": "end_call"}
    assert not lifecycle.correct_outcome(**how, job_id="job-2")
    assert lifecycle.correct_outcome(**how, job_id=JOB)
    assert not lifecycle.correct_outcome(**how | {"ended_reason": "idle"}, job_id=JOB)
    call.refresh_from_db()
    assert (call.disposition, call.ended_reason) == ("completed", "end_call")
    assert CallEvent.objects.filter(call=call, kind="outcome_corrected").count() == 1
    assert OutboxEvent.objects.filter(topic="call.ended").count() == 1


def test_another_tenants_call_does_not_move(other_tenant: Tenant, make_call: Make) -> None:
    call = make_call(status="in_progress")

    def end_as_stranger() -> bool:
        with tenant_scope(other_tenant):
            return go(call, "ended", database_now())

    assert not Context().run(end_as_stranger)
    call.refresh_from_db()
    assert call.status == "in_progress"


def test_two_processes_end_a_call_once(database_env: dict[str, str], make_call: Make, tenant: Tenant) -> None:
    calls = [make_call(status="in_progress", job_id=f"job-{n}") for n in range(10)]
    body = """
ended = []
with tenant_scope(UUID(given["tenant"])):
    for call in given["calls"]:
        how = {"disposition": "completed", "ended_reason": f"by_{number}"}
        ended.append(lifecycle.end(call_id=UUID(call), at=datetime.now(UTC), **how))
return ended
"""
    ended = race(database_env, body, processes=2, tenant=tenant.pk, calls=[call.pk for call in calls])
    assert [sorted(pair) for pair in zip(*ended, strict=True)] == [[False, True]] * 10
    assert CallEvent.objects.filter(kind="ended").count() == 10
    assert OutboxEvent.objects.filter(topic="call.ended").count() == 10
