"""Calling people: the gates, then the number it is shown from, then the queue for a line."""

from typing import Any, Final, Unpack

from django.db import IntegrityError, transaction
from django.db.models import Case, Q, Value, When

from calls import dispatch
from calls.clock import database_now
from calls.errors import GateRefusedError, InvalidCallError, NoLineError, TelephonyNotConfiguredError
from calls.models import Call, PhoneNumber
from calls.services.dialing import usable_trunk
from calls.services.gates import OPEN_CALL, check_person
from calls.services.placing import Asked, Plan, plan_call, queue_call, take_turns
from calls.services.timing import WAITS
from calls.telephony.names import OUTBOUND_PREFIX
from tenants.lifecycle import require_new_work
from tenants.models import User
from tenants.services import audit

_NO_LINE: Final = "There is no number to call from. Add a trunk and a number first; until then, place simulated calls."


@transaction.atomic
def place_outbound(
    *,
    to: str,
    from_number: PhoneNumber | None = None,
    override_gates: str = "",
    actor: User | None = None,
    **asked: Unpack[Asked],
) -> Call:
    """Queue a call to a person. `to` is a number with its country code, such as +15125550143.

    It is shown as coming from `from_number`, else from the agent's own, else from the newest that may be shown.
    `override_gates` says why gates that may be overridden do not count; who gives it must have the scope for it.
    `actor` is the member of staff who calls, for the audit. Raises what `plan_call` does, TenantNotActiveError,
    GateRefusedError, InvalidCallError, TelephonyNotConfiguredError, and NoLineError for a trunk that places no calls; then
    nothing is stored.
    """
    require_new_work()
    plan = plan_call(**asked)
    call = plan.call
    # What the gates have counted stays so until the call is stored.
    take_turns()
    when = asked.get("not_before") or database_now()
    who: dict[str, Any] = {"override_reason": override_gates, "actor": actor, "subject": call, "livemode": call.livemode}
    verdict = check_person(phone=to, now=when, requires_consent=False, **who)
    verdict.require()
    number = from_number or _own_number(call)
    if number.released_at or not number.is_caller_id:
        raise InvalidCallError({"from_number_id": f"{number.phone} may not be shown to people who are called."})
    usable_trunk(number.grant)
    call.phone, call.number, call.grant = verdict.phone, number, number.grant
    call.overridden_gates = list(verdict.overridden)
    call.room = f"{OUTBOUND_PREFIX}{call.pk.hex}"
    call.not_after = call.not_after or when + WAITS
    _queue(plan)
    if actor is not None:
        audit.record(action="call.placed", target=call, actor=actor)
    dispatch.wake_on_commit()
    return call


def _queue(plan: Plan) -> None:
    try:
        with transaction.atomic():
            queue_call(plan)
    except IntegrityError as error:
        if "call_rings_a_phone_once" not in str(error):
            raise
        raise GateRefusedError(OPEN_CALL, f"There is a call to {plan.call.phone} already that has not ended.") from error


def _own_number(call: Call) -> PhoneNumber:
    """The number callers know the agent by, else any that may be shown."""
    fits = PhoneNumber.objects.filter(released_at=None, is_caller_id=True, grant__revoked_at=None)
    own = Case(When(Q(agent_id=call.agent_id), then=Value(0)), default=Value(1))
    found: list[PhoneNumber] = list(fits.select_related("grant__tenant").order_by(own, "-id")[:20])
    if not found:
        raise TelephonyNotConfiguredError(_NO_LINE)
    refused: NoLineError | None = None
    for number in found:
        try:
            usable_trunk(number.grant)
        except NoLineError as error:
            refused = refused or error
        else:
            return number
    raise refused or TelephonyNotConfiguredError(_NO_LINE)
