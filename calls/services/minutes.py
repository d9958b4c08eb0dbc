"""The telephone minutes of a call: what its legs are billed for."""

from decimal import Decimal
from math import ceil
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

from calls.carriers import Carrier
from calls.lifecycle import OBJECT_TYPE
from calls.models import Call, Leg, SipTrunk
from tenants.models import Kind, Unit
from tenants.services.usage import record_usage
from voiceplatform.lib.phone import InvalidPhoneError, parse_phone
from voiceplatform.lib.phone import Kind as PhoneKind

_BY_PHONE: Final = (Call.Kind.INBOUND, Call.Kind.OUTBOUND)
_CLOUD: Final = ".livekit.cloud"
_CLOUD_STEP_S: Final = 60


def record_minutes(call: Call) -> None:
    """Keep what carrier, and LiveKit Cloud, bill for each leg of an ended call, from its answer to its end.

    In the tenant's scope. Once for each leg, however often it is asked. Calls without a phone have none.
    """
    if call.kind not in _BY_PHONE or call.ended_at is None:
        return
    legs = list(Leg.objects.filter(call=call).exclude(answered_at=None))
    if not legs:
        return
    whole = Call.objects.select_related("grant__trunk", "number").get(pk=call.pk)
    trunk = whole.grant.trunk if whole.grant else SipTrunk(carrier=Carrier.OTHER)
    for leg in legs:
        # Who was still there when the call ended was hung up with it.
        seconds = ((leg.ended_at or call.ended_at) - leg.answered_at).total_seconds()
        billed = billed_s(seconds, minimum_s=trunk.billing_minimum_s, step_s=trunk.billing_step_s)
        _record(call, leg, Kind.TELEPHONY, trunk.billed_as or trunk.carrier, _way(whole, leg), billed)
        if (urlsplit(settings.LIVEKIT_URL).hostname or "").endswith(_CLOUD):
            billed = billed_s(seconds, minimum_s=_CLOUD_STEP_S, step_s=_CLOUD_STEP_S)
            _record(call, leg, Kind.TRANSPORT, "livekit", "sip", billed)


def billed_s(seconds: float, *, minimum_s: int, step_s: int) -> int:
    """The seconds that are paid for: a first span whole, then every step that was begun."""
    return minimum_s + step_s * max(0, ceil((seconds - minimum_s) / step_s))


def _way(call: Call, leg: Leg) -> str:
    """Which way and where, as rates name it: `outbound US`. Callers are billed by the number they called."""
    inbound = leg.role == Leg.Role.CALLER
    phone = (call.number.phone if call.number else "") if inbound else leg.phone
    way = "inbound" if inbound else "outbound"
    try:
        parsed = parse_phone(phone)
    except InvalidPhoneError:
        return way
    return f"{way} {'toll_free ' if parsed.kind == PhoneKind.TOLL_FREE else ''}{parsed.country}".strip()


def _record(call: Call, leg: Leg, kind: Kind, provider: str, model: str, seconds: int) -> None:
    record_usage(
        subject_type=OBJECT_TYPE,
        subject_id=call.pk,
        kind=kind,
        provider=provider,
        model=model,
        unit=Unit.SECOND,
        quantity=Decimal(seconds),
        source=leg.public_id,
    )
