"""When a call may begin."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from calls.errors import InvalidCallError

WAITS: Final = timedelta(hours=1)
"""How long a call waits for its turn after `not_before`, unless told otherwise."""

FURTHEST: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Times:
    """A call begins no sooner than `not_before` and is canceled when it has not begun by `not_after`."""

    not_before: datetime | None
    not_after: datetime | None


def check_times(*, not_before: datetime | None, not_after: datetime | None, now: datetime) -> Times:
    """The times of a call that is placed now. Raises InvalidCallError naming the one that does not fit."""
    for name, moment in (("not_before", not_before), ("not_after", not_after)):
        if moment is not None and moment > now + FURTHEST:
            raise InvalidCallError({name: f"At most {FURTHEST.days} days ahead."})
    if not_after is not None:
        if not_after <= now:
            raise InvalidCallError({"not_after": "This moment has passed."})
        if not_before is not None and not_after <= not_before:
            raise InvalidCallError({"not_after": "This must be after not_before."})
        return Times(not_before=not_before, not_after=not_after)
    if not_before is None:
        return Times(not_before=None, not_after=None)
    if not_before + WAITS <= now:
        raise InvalidCallError({"not_before": "This moment passed too long ago; leave it out to begin at once."})
    return Times(not_before=not_before, not_after=not_before + WAITS)
