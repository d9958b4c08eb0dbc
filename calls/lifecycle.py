"""Where a call may go next: the only writer of `Call.status`.

Each change is one conditional UPDATE, an event in the call's history and news in the outbox, in one transaction. A call
that ends, or waits again, gives back its lines in the same one.
False means that the change is late, repeated or out of order; then nothing was written. A job passes its id as
`job_id` and writes only about the call it holds; `UNCLAIMED` means "unless a job has claimed it meanwhile".
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce, Greatest

from calls import dispatch, settling, wakeups
from calls.models import Call, CallEvent, LineSlot
from tenants import outbox

Kind: TypeAlias = Call.Kind
Status: TypeAlias = Call.Status
Disposition: TypeAlias = Call.Disposition

UNCLAIMED: Final = ""
OBJECT_TYPE: Final = "call"

_WITHOUT_PHONE: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.DISPATCHED}),
    Status.DISPATCHED: frozenset({Status.QUEUED}),
    Status.IN_PROGRESS: frozenset({Status.DISPATCHED}),
    Status.ENDED: frozenset({Status.QUEUED, Status.DISPATCHED, Status.IN_PROGRESS}),
}

PREDECESSORS: Final[Mapping[Kind, Mapping[Status, frozenset[Status]]]] = {
    Kind.OUTBOUND: {
        Status.QUEUED: frozenset({Status.DISPATCHED}),
        Status.DISPATCHED: frozenset({Status.QUEUED}),
        Status.DIALING: frozenset({Status.DISPATCHED}),
        Status.RINGING: frozenset({Status.DIALING}),
        Status.IN_PROGRESS: frozenset({Status.DIALING, Status.RINGING}),
        Status.HANDED_OVER: frozenset({Status.IN_PROGRESS}),
        Status.ENDED: frozenset(set(Status) - {Status.ENDED}),
    },
    Kind.INBOUND: {
        Status.IN_PROGRESS: frozenset({Status.RINGING}),
        Status.HANDED_OVER: frozenset({Status.IN_PROGRESS}),
        Status.ENDED: frozenset({Status.RINGING, Status.IN_PROGRESS, Status.HANDED_OVER}),
    },
    Kind.WEB: _WITHOUT_PHONE,
    Kind.SIMULATED: _WITHOUT_PHONE,
    Kind.CHAT: _WITHOUT_PHONE,
}

TOPICS: Final[Mapping[Status, str]] = {
    Status.QUEUED: "call.queued",
    Status.IN_PROGRESS: "call.in_progress",
    Status.ENDED: "call.ended",
}

_TIME_OF: Mapping[Status, str] = {Status.DISPATCHED: "dispatched_at", Status.IN_PROGRESS: "answered_at"}
_UNKNOWN_OUTCOMES: Final = (Disposition.FAILED, Disposition.UNKNOWN)


@transaction.atomic
def advance(*, call_id: UUID, to: Status, at: datetime, job_id: str | None = None, host_id: UUID | None = None) -> bool:
    """Move a call to `to`, which is not `ended`; say whether it moved. `host_id` is who a dispatched call goes to."""
    changes: dict[str, Any] = {"status": to}
    if to in _TIME_OF:
        changes[_TIME_OF[to]] = at
    if to is Status.DISPATCHED and host_id:
        changes["host_id"] = host_id
    if to is Status.QUEUED:
        changes |= {"job_id": UNCLAIMED, "host_id": None, "claimed_at": None, "dispatched_at": None}
    if not _movable(call_id, to, job_id).update(**changes):
        return False
    if to is Status.QUEUED:
        # Nobody outside needs to know that a call which waited waits again.
        _free_lines(call_id)
        CallEvent.objects.create(call_id=call_id, kind=to.value, at=at)
    else:
        announce(call_id=call_id, status=to, at=at)
    return True


@transaction.atomic
def end(*, call_id: UUID, disposition: str, ended_reason: str, at: datetime, detail: str = "", job_id: str | None = None) -> bool:
    """End a call, wherever it is; say whether it was this that ended it. The first to end a call decides how it ended."""
    changes = {"disposition": disposition, "ended_reason": ended_reason, "ended_detail": detail}
    moved = _movable(call_id, Status.ENDED, job_id).update(
        status=Status.ENDED, ended_at=Greatest(Value(at), F("answered_at")), **changes
    )
    if not moved:
        return False
    _free_lines(call_id)
    settling.fail_untaken(call_id, at=at)
    announce(call_id=call_id, status=Status.ENDED, at=at, data={key: value for key, value in changes.items() if value})
    return True


@transaction.atomic
def correct_outcome(*, call_id: UUID, disposition: str, ended_reason: str, at: datetime, job_id: str, detail: str = "") -> bool:
    """Let the job say how a call ended that others could only call failed or unknown, until it is finalised."""
    if disposition in _UNKNOWN_OUTCOMES:
        return False
    changes = {"disposition": disposition, "ended_reason": ended_reason, "ended_detail": detail}
    corrected = Call.objects.filter(
        pk=call_id, job_id=job_id, status=Status.ENDED, finalized_at=None, disposition__in=_UNKNOWN_OUTCOMES
    ).update(ended_at=Greatest(Value(at), F("answered_at")), **changes)
    if not corrected:
        return False
    CallEvent.objects.create(call_id=call_id, kind="outcome_corrected", at=at, data=changes)
    return True


@transaction.atomic
def claim(*, call_id: UUID, job_id: str, host_id: UUID, at: datetime) -> bool:
    """Give an unclaimed call to a job; say whether it got it. A call still queued counts as dispatched by this."""
    waiting = Q(status__in=[Status.QUEUED, Status.DISPATCHED]) | Q(kind=Kind.INBOUND, status=Status.RINGING)
    ringing = When(status=Status.RINGING, then=F("dispatched_at"))
    claimed = Call.objects.filter(waiting, pk=call_id, job_id=UNCLAIMED).update(
        status=Case(When(status=Status.QUEUED, then=Value(Status.DISPATCHED)), default=F("status")),
        dispatched_at=Case(ringing, default=Coalesce(F("dispatched_at"), Value(at))),
        job_id=job_id,
        host_id=host_id,
        claimed_at=at,
    )
    if not claimed:
        return False
    CallEvent.objects.create(call_id=call_id, kind="claimed", at=at, data={"job_id": job_id, "host_id": str(host_id)})
    return True


def announce(*, call_id: UUID, status: Status, at: datetime, data: Mapping[str, Any] | None = None) -> None:
    """Write down and publish that a call is where it is; in the transaction that brought it there."""
    CallEvent.objects.create(call_id=call_id, kind=status.value, at=at, data=dict(data or {}))
    wakeups.tell_news_on_commit(call_id)
    if status in TOPICS:
        outbox.publish(topic=TOPICS[status], object_type=OBJECT_TYPE, object_id=call_id, data=data)


def _free_lines(call_id: UUID) -> None:
    freed, _ = LineSlot.objects.filter(call_id=call_id).delete()
    if freed:
        dispatch.wake_on_commit()


def _movable(call_id: UUID, to: Status, job_id: str | None) -> Any:
    allowed = Q()
    for kind, predecessors in PREDECESSORS.items():
        allowed |= Q(kind=kind, status__in=predecessors.get(to, frozenset()))
    calls = Call.objects.filter(allowed, pk=call_id)
    return calls if job_id is None else calls.filter(job_id=job_id)
