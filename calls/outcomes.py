"""What the network said about a call that was not answered, and what follows from it.

The table is that of livekit-sip's answers as livekit-api raises them: a code of its own, and the SIP status where a
carrier gave one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from calls.models import Call

Disposition = Call.Disposition


class Retry(StrEnum):
    """Whether trying again makes sense."""

    NEVER = "never"
    LATER = "later"
    SOON = "soon"


@dataclass(frozen=True, slots=True)
class DialOutcome:
    """How a dial ended. `is_attempt`: the person was reached for, or may have been. `stops_trunk`: nobody gets through."""

    disposition: str
    reason: str
    detail: str = ""
    is_attempt: bool = True
    retry: Retry = Retry.LATER
    stops_trunk: bool = False


def _ours(reason: str, *, retry: Retry = Retry.SOON, stops_trunk: bool = False) -> DialOutcome:
    """Trouble of trunks and machines, which is never the person's."""
    return DialOutcome(Disposition.FAILED, reason, is_attempt=False, retry=retry, stops_trunk=stops_trunk)


BUSY: Final = DialOutcome(Disposition.BUSY, "busy")
NO_ANSWER: Final = DialOutcome(Disposition.NO_ANSWER, "no_answer")
REJECTED: Final = DialOutcome(Disposition.REJECTED, "declined", retry=Retry.NEVER)
BLOCKED: Final = DialOutcome(Disposition.REJECTED, "blocked_by_network", retry=Retry.NEVER)
INVALID: Final = DialOutcome(Disposition.INVALID_NUMBER, "unallocated", retry=Retry.NEVER)
UNKNOWN: Final = DialOutcome(Disposition.UNKNOWN, "no_response")
CREDENTIALS: Final = _ours("trunk_credentials", retry=Retry.NEVER, stops_trunk=True)
ADDRESS: Final = _ours("trunk_address", retry=Retry.NEVER, stops_trunk=True)
CONFIGURATION: Final = _ours("trunk_unknown", retry=Retry.SOON)
NO_TELEPHONY: Final = _ours("no_telephony")
SLOW_DOWN: Final = _ours("carrier_limit")
CARRIER: Final = _ours("carrier_error", retry=Retry.LATER)
REFUSED: Final = _ours("call_refused", retry=Retry.NEVER)

NOT_ATTEMPTS: Final = frozenset(
    each.reason for each in (CREDENTIALS, ADDRESS, CONFIGURATION, NO_TELEPHONY, SLOW_DOWN, CARRIER, REFUSED)
) | {"cps_missed"}
"""Reasons of failed calls that reached nobody's phone, unless it is known to have rung."""

_BY_STATUS: Final[Mapping[int, DialOutcome]] = {
    486: BUSY,
    600: BUSY,
    480: NO_ANSWER,
    408: NO_ANSWER,
    487: NO_ANSWER,
    603: REJECTED,
    403: REJECTED,
    607: BLOCKED,
    608: BLOCKED,
    404: INVALID,
    410: INVALID,
    604: INVALID,
    484: INVALID,
    401: CREDENTIALS,
    407: CREDENTIALS,
    504: UNKNOWN,
}
_BY_CODE: Final[Mapping[str, DialOutcome]] = {
    "canceled": NO_ANSWER,
    "deadline_exceeded": UNKNOWN,
    "permission_denied": CREDENTIALS,
    "unauthenticated": CREDENTIALS,
    "failed_precondition": CARRIER,
    "invalid_argument": ADDRESS,
    "not_found": CONFIGURATION,
    "unavailable": NO_TELEPHONY,
    "resource_exhausted": SLOW_DOWN,
}
_LIMITS: Final = ("cps limit exceeded", "concurrent call limit exceeded")


def of_error(*, code: str, sip_status: int | None, text: str = "") -> DialOutcome:
    """`code` as in TwirpError.code, `text` what the carrier or the server said."""
    found = _of_status(sip_status, text) if sip_status else _BY_CODE.get(code, UNKNOWN)
    said = f"{sip_status} {text}".strip() if sip_status else text
    return DialOutcome(found.disposition, found.reason, said[:500], found.is_attempt, found.retry, found.stops_trunk)


def _of_status(status: int, text: str) -> DialOutcome:
    if any(limit in text.lower() for limit in _LIMITS):
        return SLOW_DOWN
    if (known := _BY_STATUS.get(status)) is not None:
        return known
    return CARRIER if status >= 500 else REFUSED
