"""A job's steps on the way from its call to somebody who takes it over. Each enters the call's scope itself."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from agents.transfers import Target
from calls import dispatch, lifecycle
from calls.clock import database_now
from calls.errors import NoLineError
from calls.models import Call, Leg, LineSlot, Supervision
from calls.resolving import scope_of_call
from calls.services.dialing import usable_trunk
from calls.services.lines import reserve_line
from calls.services.targets import why_refused
from calls.telephony.names import supervisor_identity


@dataclass(frozen=True, slots=True)
class Way:
    """What to ring with. `trunk` is the trunk's id on the LiveKit server, `trunk_id` our own."""

    trunk_id: UUID
    trunk: str
    caller_id: str
    room: str
    max_duration_s: int


@dataclass(frozen=True, slots=True)
class NoWay:
    """Nobody can be dialed for this call now; `reason` is a word for why."""

    reason: str
    detail: str


@transaction.atomic
def begin_transfer(*, call_id: UUID, job_id: str, identity: str, target: Target) -> Way | NoWay:
    """Take a line for somebody who may take the call over, and write their leg down; only after that may anything ring."""
    with scope_of_call(call_id):
        calls = Call.objects.select_for_update(no_key=True, of=("self",)).select_related("number", "grant__tenant")
        call = calls.filter(pk=call_id, job_id=job_id, status=Call.Status.IN_PROGRESS).first()
        if call is None:
            return NoWay("call_over", "The call had ended before anybody was dialed.")
        if call.grant is None or call.number is None:
            return NoWay("no_phone", "The call has no trunk over which somebody could be dialed.")
        if refused := why_refused(target):
            return NoWay(refused, f"{target.name} may not be called any more.")
        try:
            trunk = usable_trunk(call.grant)
            reserve_line(call=call, grant=call.grant, role=Leg.Role.TARGET)
        except NoLineError as error:
            return NoWay(error.code, str(error))
        leg = {"role": Leg.Role.TARGET, "phone": target.phone, "started_at": database_now()}
        Leg.objects.update_or_create(call=call, identity=identity, defaults=leg)
        return Way(
            trunk_id=trunk.pk,
            trunk=trunk.livekit_id,
            caller_id=call.number.phone,
            room=call.room,
            max_duration_s=call.max_duration_s,
        )


@transaction.atomic
def give_line_back(*, call_id: UUID) -> None:
    """Of somebody who did not take the call over."""
    with scope_of_call(call_id):
        freed, _ = LineSlot.objects.filter(call_id=call_id, role=Leg.Role.TARGET).delete()
        if freed:
            dispatch.wake_on_commit()


def hand_over(*, call_id: UUID, job_id: str) -> bool:
    """From now on two people talk without the job; False when the call is no longer its own, or has ended."""
    with scope_of_call(call_id):
        return lifecycle.advance(call_id=call_id, to=Call.Status.HANDED_OVER, at=database_now(), job_id=job_id)


def supervisors_of(call_id: UUID) -> list[str]:
    """Whom staff may be in the call's room: those who listen unseen are told of by nobody else."""
    with scope_of_call(call_id):
        admitted = Supervision.objects.filter(call_id=call_id, left_at=None).values_list("pk", flat=True)
        return [supervisor_identity(supervision_id) for supervision_id in admitted]
