"""When a delivery is tried again, and how long a receiver that is not doing well is left alone."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_ASKED: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Pauses before each retry, in seconds, spread by ± `jitter`, and how long an endpoint rests that is not doing well."""

    pauses: Sequence[float] = (5, 5 * 60, 30 * 60, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24)))
    jitter: float = 0.2
    rests: Sequence[float] = (5, 10, 20, 40, 80, 160, 300)

    @property
    def attempts(self) -> int:
        return len(self.pauses) + 1

    @property
    def longest(self) -> timedelta:
        """No attempt is put off beyond this, counted from the first one."""
        return timedelta(seconds=sum(self.pauses) * (1 + self.jitter))

    def pause_after(self, attempts: int) -> timedelta | None:
        """None when that was the last attempt."""
        if attempts >= self.attempts:
            return None
        return timedelta(seconds=self.pauses[attempts - 1] * random.uniform(1 - self.jitter, 1 + self.jitter))

    def rest_after(self, failures: int) -> timedelta:
        return timedelta(seconds=self.rests[min(failures, len(self.rests)) - 1])


SCHEDULE: Final = Schedule()


def asked_pause(retry_after: str, *, now: datetime) -> timedelta:
    """What a Retry-After header asks for, in seconds or as an HTTP date, LONGEST_ASKED at most; nothing where it is nonsense."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(float(text), LONGEST_ASKED.total_seconds()))
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return timedelta(0)
    wanted = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return min(max(wanted, timedelta(0)), LONGEST_ASKED)
