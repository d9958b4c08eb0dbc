"""A job's steps from its claim to the first ring. Each enters the call's scope itself."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from calls import lifecycle
from calls.clock import database_now
from calls.errors import NoLineError
from calls.models import Call, CallEvent, Leg, SipTrunk, TrunkGrant
from calls.outcomes import DialOutcome
from calls.resolving import scope_of_call
from calls.services.gates import check_person
from calls.services.lines import check_trunk
from calls.services.trunks import stop_trunk
from tenants.scope import tenant_scope

CALLEE = "callee"


@dataclass(frozen=True, slots=True)
class Dial:
    """What to ring, and with what. `trunk` is the trunk's id on the LiveKit server."""

    phone: str
    caller_id: str
    trunk: str
    room: str
    ring_timeout_s: int
    max_duration_s: int


@dataclass(frozen=True, slots=True)
class NotDialed:
    """The call has ended instead, or is no longer the job's."""

    disposition: str
    reason: str
    detail: str


def trunk_of(call_id: UUID) -> UUID:
    """The trunk a call goes out by. Raises Call.DoesNotExist."""
    with scope_of_call(call_id):
        trunk_id: UUID = Call.objects.values_list("grant__trunk_id", flat=True).get(pk=call_id)
        return trunk_id


@transaction.atomic
def begin_dialing(*, call_id: UUID, job_id: str) -> Dial | NotDialed:
    """Ask every gate once more and write down that the call is being dialed; only after that may anything ring."""
    with scope_of_call(call_id):
        call = Call.objects.select_for_update(no_key=True, of=("self",)).select_related("number", "grant__tenant").get(pk=call_id)
        now = database_now()
        verdict = check_person(
            phone=call.phone,
            now=now,
            requires_consent=False,
            passing=frozenset(call.overridden_gates),
            call=call,
            livemode=call.livemode,
        )
        if not verdict.allowed:
            return NotDialed(Call.Disposition.BLOCKED, verdict.code, verdict.sentence)
        try:
            trunk = usable_trunk(call.grant)
        except NoLineError as error:
            return NotDialed(Call.Disposition.FAILED, error.code, str(error))
        if not lifecycle.advance(call_id=call_id, to=Call.Status.DIALING, at=now, job_id=job_id):
            return NotDialed(Call.Disposition.CANCELED, "canceled_by_user", "The call had ended before it was dialed.")
        Leg.objects.update_or_create(
            call=call, identity=CALLEE, defaults={"role": Leg.Role.CALLEE, "phone": call.phone, "started_at": now}
        )
        return Dial(
            phone=call.phone,
            caller_id=call.number.phone,
            trunk=trunk.livekit_id,
            room=call.room,
            ring_timeout_s=call.ring_timeout_s,
            max_duration_s=call.max_duration_s,
        )


def usable_trunk(grant: TrunkGrant) -> SipTrunk:
    """The grant's trunk, which may be the agency's. Raises NoLineError when it takes no calls."""
    trunk = SipTrunk.all_objects.get(pk=grant.trunk_id)
    check_trunk(grant, trunk, outbound=True)
    if not trunk.livekit_id:
        why = trunk.sync_error or "the LiveKit server does not know it yet"
        raise NoLineError("trunk_not_ready", f"{trunk.name} is not ready: {why}.", waits=False)
    return trunk


def put_back(*, call_id: UUID, job_id: str) -> bool:
    """Let a call that its job could not dial yet wait again; nothing is consumed by that."""
    with scope_of_call(call_id):
        return lifecycle.advance(call_id=call_id, to=Call.Status.QUEUED, at=database_now(), job_id=job_id)


def note_trunk_trouble(*, call_id: UUID, outcome: DialOutcome) -> None:
    """A trunk by which nobody gets through is stopped, with the reason, until somebody has mended it."""
    if not outcome.stops_trunk:
        return
    with scope_of_call(call_id):
        grant = Call.objects.select_related("grant").get(pk=call_id).grant
        CallEvent.objects.create(call_id=call_id, kind="trunk_stopped", at=database_now(), data={"reason": outcome.reason})
    trunk = SipTrunk.all_objects.get(pk=grant.trunk_id)
    with tenant_scope(grant.owner_id):
        stop_trunk(trunk=trunk, why=_WHY[outcome.reason].format(said=outcome.detail or "no reason given"))


_WHY = {
    "trunk_credentials": "The carrier refused the user name or password ({said}). Set them anew, then resume the trunk.",
    "trunk_address": "The trunk's address cannot be used ({said}). Correct it, then resume the trunk.",
}
