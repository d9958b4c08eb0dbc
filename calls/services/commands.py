"""Commands into a running call: rows are the truth, Redis only wakes the job that polls them anyway."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from calls import lifecycle, wakeups
from calls.clock import database_now
from calls.errors import CallEndedError
from calls.models import Call, CallCommand
from calls.resolving import scope_of_call
from calls.timers import timer
from tenants.models import User
from tenants.services import audit

TAKEN_WITHIN: Final = timer(7)


@dataclass(frozen=True, slots=True)
class Overdue:
    """A hang-up its job has not taken: the host ends the job's process and then the call."""

    call_id: UUID
    job_id: str


@transaction.atomic
def request_hang_up(call: Call, *, actor: User | None = None, reason: str = "", last_words: str = "") -> CallCommand | None:
    """Ask the job to hang up; None when no job has the call yet, which then has ended by this.

    A hang-up that waits already is returned. The agent says `last_words` before it. Raises CallEndedError.
    """
    now = database_now()
    ended = lifecycle.end(
        call_id=call.pk,
        disposition=Call.Disposition.CANCELED,
        ended_reason="canceled_by_user",
        at=now,
        detail=reason,
        job_id=lifecycle.UNCLAIMED,
    )
    if ended:
        _note_request(call, actor, reason)
        return None
    if Call.objects.select_for_update(no_key=True, of=("self",)).get(pk=call.pk).status == Call.Status.ENDED:
        raise CallEndedError(f"{call.public_id} has ended already.")
    kind = CallCommand.Kind.HANG_UP
    waiting: CallCommand | None = CallCommand.objects.filter(call=call, kind=kind, taken_at=None, outcome="").first()
    if waiting is None:
        given = {"actor": actor, "reason": reason, "text": last_words}
        waiting = CallCommand.objects.create(call=call, kind=kind, created_at=now, **given)
        _note_request(call, actor, reason)
    wakeups.wake_on_commit(wakeups.COMMANDS, call.pk)
    return waiting


def _note_request(call: Call, actor: User | None, reason: str) -> None:
    audit.record(action="call.hang_up_requested", target=call, actor=actor, reason=reason)


def take_commands(call_id: UUID) -> list[CallCommand]:
    """The commands nobody has taken, oldest first; each is given out once. Enters the call's scope itself."""
    with scope_of_call(call_id):
        now = database_now()
        waiting = CallCommand.objects.filter(call_id=call_id, taken_at=None, outcome="")
        return [command for command in list(waiting) if _take(command, now)]


def _take(command: CallCommand, now: datetime) -> bool:
    # What was written goes on in the transcript, where card numbers are masked.
    free = CallCommand.objects.filter(pk=command.pk, taken_at=None, outcome="")
    return bool(free.update(taken_at=now, text="", options={}))


def overdue(host_id: UUID, *, now: datetime | None = None) -> list[Overdue]:
    """Hang-ups of this host's open calls that were not taken in time, of all tenants. Needs no scope."""
    late = untaken_hang_ups(now=now or database_now()).filter(call__host_id=host_id)
    return [Overdue(*found) for found in late.values_list("call_id", "call__job_id")]


def untaken_hang_ups(*, now: datetime) -> Any:
    """Those of open calls that their jobs should have taken by now, of all tenants. Needs no scope."""
    late = CallCommand.all_objects.filter(kind=CallCommand.Kind.HANG_UP, taken_at=None, created_at__lte=now - TAKEN_WITHIN)
    return late.exclude(call__status=Call.Status.ENDED)
