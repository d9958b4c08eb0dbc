"""The hours of the week in which people may be called, where they are. Pure: no rows, no clock of its own."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

HORIZON: Final = timedelta(days=14)
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
Span = tuple[datetime, datetime]
IsHoliday = Callable[[date], bool]


@dataclass(frozen=True, slots=True)
class Hours:
    """From `starts_at` until just before `ends_at`, by the local clock, on these weekdays (1 is Monday).

    Without `ends_at` until midnight. Holidays are left out, unless `on_holidays`.
    """

    weekdays: frozenset[int]
    starts_at: time
    ends_at: time | None
    on_holidays: bool = False

    def cover(self, local: datetime, is_holiday: IsHoliday) -> bool:
        clock = local.time()
        before_end = self.ends_at is None or clock < self.ends_at
        return self.include(local.date(), is_holiday) and self.starts_at <= clock and before_end

    def closes(self, day: date) -> datetime:
        """By the local clock."""
        return datetime.combine(day, self.ends_at) if self.ends_at else datetime.combine(day, time()) + _DAY

    def include(self, day: date, is_holiday: IsHoliday) -> bool:
        return day.isoweekday() in self.weekdays and (self.on_holidays or not is_holiday(day))


def never(_: date) -> bool:
    """No holidays."""
    return False


def is_open(hours: Collection[Hours], zones: Iterable[str], at: datetime, is_holiday: IsHoliday = never) -> bool:
    """Whether the local time is within the hours in every one of `zones`, of which there is at least one."""
    names = list(zones)
    return bool(names) and all(any(some.cover(at.astimezone(ZoneInfo(name)), is_holiday) for some in hours) for name in names)


def next_opening(
    hours: Collection[Hours], zones: Iterable[str], after: datetime, is_holiday: IsHoliday = never
) -> datetime | None:
    """The first moment from `after` on at which `is_open`, to the second, in UTC; None when HORIZON has none."""
    start = after.astimezone(UTC).replace(microsecond=0)
    start = start if start == after else start + _SECOND
    common: list[Span] | None = None
    for name in zones:
        spans = list(_merged(sorted(_open_spans(hours, ZoneInfo(name), (start, start + HORIZON), is_holiday))))
        common = spans if common is None else list(_intersection(common, spans))
        if not common:
            return None
    return common[0][0] if common else None


def _open_spans(hours: Collection[Hours], zone: ZoneInfo, within: Span, is_holiday: IsHoliday) -> Iterator[Span]:
    for since, until in _stretches(zone, *within):
        offset = _offset(zone, since)
        first, last = (moment.replace(tzinfo=None) + offset for moment in (since, until))
        day = first.date()
        while day <= last.date():
            for some in hours:
                opens = max(first, datetime.combine(day, some.starts_at))
                closes = min(last, some.closes(day))
                if some.include(day, is_holiday) and opens < closes:
                    yield (opens - offset).replace(tzinfo=UTC), (closes - offset).replace(tzinfo=UTC)
            day += _DAY


def _stretches(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Span]:
    """The time between, cut where the zone changes its offset: within each the local clock runs evenly."""
    since = low = start
    while low < end:
        high = min(low + _DAY, end)
        if _offset(zone, low) != _offset(zone, high):
            change = _change(zone, low, high)
            yield since, change
            since = change
        low = high
    yield since, end


def _change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first whole second with the offset of `high`."""
    before = _offset(zone, low)
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    current: Span | None = None
    for opens, closes in spans:
        if current is None or opens > current[1]:
            if current is not None:
                yield current
            current = opens, closes
        else:
            current = current[0], max(current[1], closes)
    if current is not None:
        yield current


def _intersection(left: list[Span], right: list[Span]) -> Iterator[Span]:
    i = j = 0
    while i < len(left) and j < len(right):
        opens, closes = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if opens < closes:
            yield opens, closes
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
