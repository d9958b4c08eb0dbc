"""Countries by ISO 3166 code, and the time zones each of them uses, from the time zone database."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Final

from django.core.exceptions import ValidationError

# In use for numbers and not in ISO 3166.
_BESIDES: Final = {"XK": "Kosovo"}


@cache
def countries() -> Mapping[str, str]:
    """Names by two-letter code."""
    return {columns[0]: columns[1] for columns in _rows("iso3166.tab")} | _BESIDES


def validate_country(code: str) -> None:
    """Raises ValidationError for what is no country's code."""
    if code not in countries():
        raise ValidationError(f"{code!r} is no country. Use two-letter ISO codes, such as US, DE or GB.")


def validate_countries(codes: list[str]) -> None:
    """Raises ValidationError for the first that is no country's code."""
    for code in codes:
        validate_country(code)


def country_of_zone(zone: str) -> str:
    """The country a time zone lies in; empty for UTC and the like. Old names such as US/Central are known."""
    owners = _owners()
    return owners.get(zone) or owners.get(_links().get(zone, ""), "")


@cache
def zones_of_country(code: str) -> tuple[str, ...]:
    return tuple(sorted(zone for zone, owner in _owners().items() if owner == code))


@cache
def _owners() -> Mapping[str, str]:
    return {columns[2]: columns[0] for columns in _rows("zone.tab")}


@cache
def _links() -> Mapping[str, str]:
    lines = (line.split() for line in _text("tzdata.zi").splitlines() if line.startswith("L "))
    return {alias: target for _, target, alias in lines}


def _rows(name: str) -> Iterator[list[str]]:
    return (line.split("\t") for line in _text(name).splitlines() if line and not line.startswith("#"))


def _text(name: str) -> str:
    return (resources.files("tzdata") / "zoneinfo" / name).read_text(encoding="utf-8")
