"""Opening hours of numbers: spans of the week as they are kept, {weekdays, starts_at, ends_at}.

A span ends on the day it starts, at 24:00 at the latest, or, when its end is before its start, on the next day.
"""

from collections.abc import Iterable, Mapping
from datetime import time
from typing import Any, Final

from django.core.exceptions import ValidationError

from calls.windows import Hours

MOST_HOURS: Final = 50
MIDNIGHT: Final = "24:00"
_EXAMPLE: Final = '{"weekdays": [1, 2, 3, 4, 5], "starts_at": "09:00", "ends_at": "17:30"}'
_WEEK: Final = frozenset(range(1, 8))


def weekly(spans: Iterable[Mapping[str, Any]]) -> list[Hours]:
    """What kept spans cover, each within a day; holidays are days like others."""
    return [part for span in spans for part in _parts(span)]


def checked_hours(given: Any) -> list[dict[str, Any]]:
    """The spans as they are kept. Raises ValidationError naming the field."""
    if not isinstance(given, list) or len(given) > MOST_HOURS:
        raise ValidationError({"hours": f"A list of at most {MOST_HOURS} spans."})
    return [_checked(span, place) for place, span in enumerate(given, start=1)]


def _parts(span: Mapping[str, Any]) -> list[Hours]:
    days, starts_at, ends_at = frozenset(int(day) for day in span["weekdays"]), _clock(span["starts_at"]), _end(span["ends_at"])
    if ends_at is None or starts_at < ends_at:
        return [Hours(days, starts_at, ends_at, on_holidays=True)]
    after = frozenset(day % 7 + 1 for day in days)
    return [Hours(days, starts_at, None, on_holidays=True), Hours(after, time(), ends_at, on_holidays=True)]


def _checked(span: Any, place: int) -> dict[str, Any]:
    try:
        parts = _parts(span)
        starts_at, ends_at = _clock(span["starts_at"]), _end(span["ends_at"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValidationError({"hours": f"Span {place} is not like {_EXAMPLE}; 1 is Monday."}) from error
    days = parts[0].weekdays
    if not days or not days <= _WEEK:
        raise ValidationError({"hours": f"Span {place} needs weekdays from 1, which is Monday, to 7."})
    if starts_at == ends_at:
        raise ValidationError({"hours": f"Span {place} must not end when it starts; a whole day is 00:00 to {MIDNIGHT}."})
    return {"weekdays": sorted(days), "starts_at": f"{starts_at:%H:%M}", "ends_at": f"{ends_at:%H:%M}" if ends_at else MIDNIGHT}


def _clock(text: str) -> time:
    return time.fromisoformat(text).replace(second=0, microsecond=0)


def _end(text: str) -> time | None:
    """None is the end of the day, however it is written."""
    if text in (MIDNIGHT, f"{MIDNIGHT}:00"):
        return None
    found = _clock(text)
    return None if found == time() else found
