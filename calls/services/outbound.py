"""Calling people: the gates, then the line."""

from typing import Final, Unpack

from django.db import transaction

from calls.clock import database_now
from calls.errors import TelephonyNotConfiguredError
from calls.models import Call
from calls.services.gates import check_person
from calls.services.placing import Asked, plan_call
from tenants.lifecycle import require_new_work

_NO_LINE: Final = "There is no trunk to ring anybody by. Until one is set up, place simulated calls."


@transaction.atomic
def place_outbound(*, to: str, override_gates: str = "", **asked: Unpack[Asked]) -> Call:
    """Queue a call to a person. `to` is a number with its country code, such as +15125550143.

    `override_gates` says why gates that may be overridden do not count; who gives it must have the scope for it. Raises
    what `plan_call` does, TenantNotActiveError, GateRefusedError and TelephonyNotConfiguredError; then nothing is stored.
    """
    require_new_work()
    plan = plan_call(**asked)
    now = asked.get("not_before") or database_now()
    check_person(phone=to, now=now, requires_consent=False, override_reason=override_gates, subject=plan.call).require()
    # Whether somebody may be called does not depend on a free line, so the gates come first.
    raise TelephonyNotConfiguredError(_NO_LINE)
