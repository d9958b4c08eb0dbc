"""What became of actions in running calls: each is settled once, with an event that says so."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from calls.models import CallCommand, CallEvent

DONE, FAILED = CallCommand.Outcome.DONE, CallCommand.Outcome.FAILED
CALL_ENDED: Final = "call_ended"
LOST: Final = "lost"


def settle(action: CallCommand, *, outcome: str, at: datetime, reason: str = "", data: Mapping[str, Any] | None = None) -> bool:
    """Write down how an action ended; False when that is known already. In the transaction of what brought it about."""
    open_ones = CallCommand.objects.filter(pk=action.pk, outcome="").exclude(kind=CallCommand.Kind.MESSAGE)
    if not open_ones.update(outcome=outcome, outcome_reason=reason, finished_at=at, text="", options={}):
        return False
    told = {"action": action.kind, "action_id": action.public_id, **({"reason": reason} if reason else {}), **(data or {})}
    CallEvent.objects.create(call_id=action.call_id, kind=f"action_{outcome}", at=at, data=told)
    return True


def fail_untaken(call_id: UUID, *, at: datetime) -> None:
    """The call has ended, and no job takes what still waits."""
    _fail(CallCommand.objects.filter(call_id=call_id, taken_at=None), reason=CALL_ENDED, at=at)


def fail_unfinished(call_id: UUID, *, at: datetime) -> None:
    """The call's record is complete, so nobody will say any more what became of these."""
    _fail(CallCommand.objects.filter(call_id=call_id), reason=LOST, at=at)


def _fail(actions: QuerySet[CallCommand], *, reason: str, at: datetime) -> None:
    for action in actions.filter(outcome="").exclude(kind=CallCommand.Kind.MESSAGE):
        settle(action, outcome=FAILED, reason=reason, at=at)
