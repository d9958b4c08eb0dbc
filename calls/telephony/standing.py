"""Whether the LiveKit server has what our trunks and numbers say, without changing anything."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import Q

from calls.clock import database_now
from calls.models import PhoneNumber, SipTrunk
from calls.telephony import likeness
from calls.telephony.client import connected
from calls.telephony.holdings import INBOUND, OUTBOUND, RULE, Holdings

RECENT: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Standing:
    """How many trunks with numbers and numbers there are, and sentences for staff about what is amiss.

    `drifts` have been put right already; somebody keeps changing the server by hand.
    """

    trunks: int
    numbers: int
    troubles: list[str]
    drifts: list[str]


def standing() -> Standing:
    """Compare rows of all tenants with the server. Needs no scope. Raises LiveKitError."""
    with connected() as livekit:
        held = {kind.name: Holdings(livekit, kind) for kind in (OUTBOUND, INBOUND, RULE)}
    numbers = list(PhoneNumber.all_objects.filter(released_at=None).select_related("grant").order_by("phone"))
    trunks = list(SipTrunk.all_objects.filter(retired_at=None, pk__in={number.grant.trunk_id for number in numbers}))
    outbound, inbound, rules = held[OUTBOUND.name].items, held[INBOUND.name].items, held[RULE.name].items
    rows: list[SipTrunk | PhoneNumber] = [*trunks, *numbers]
    troubles = [f"{row}: {row.sync_error}" for row in rows if row.sync_error]
    waiting = [str(row) for row in trunks if not row.sync_error and row.livekit_id not in outbound]
    waiting += [
        str(row) for row in numbers if not row.sync_error and not (row.livekit_id in inbound and row.livekit_rule_id in rules)
    ]
    if waiting:
        troubles.append(f"not on the server yet: {', '.join(waiting[:5])}{' and others' if len(waiting) > 5 else ''}")
    if not any(likeness.is_catch_all(rule) for rule in rules.values()):
        troubles.append("there is no rule for calls to numbers that nobody has")
    return Standing(trunks=len(trunks), numbers=len(numbers), troubles=troubles, drifts=_drifts())


def _drifts() -> list[str]:
    recent = Q(drifted_at__gt=database_now() - RECENT)
    rows: list[SipTrunk | PhoneNumber] = [*SipTrunk.all_objects.filter(recent), *PhoneNumber.all_objects.filter(recent)]
    return [f"{row}: {row.drift}" for row in rows]
