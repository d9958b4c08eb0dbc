"""Public holidays of whole countries; those of a single state or province are not known."""

from collections.abc import Mapping
from datetime import date
from functools import cache

import holidays


def holiday_name(country: str, day: date) -> str:
    """What is celebrated; empty on other days, and for countries whose holidays nobody has collected."""
    return _calendar(country, day.year).get(day, "")


@cache
def _calendar(country: str, year: int) -> Mapping[date, str]:
    try:
        return dict(holidays.country_holidays(country, years=year, language="en_US"))
    except NotImplementedError:
        return {}
