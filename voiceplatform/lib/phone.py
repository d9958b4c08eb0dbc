"""Telephone numbers: E.164, what kind of number it is, and where it may ring."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberType
from phonenumbers.timezone import time_zones_for_number

from voiceplatform.lib.countries import country_of_zone, zones_of_country

LONGEST_TEXT: Final = 40
E164: Final = r"^\+[1-9][0-9]{5,14}$"
_WRITTEN: Final = re.compile(r"[+\d\s().\-/\u2010-\u2015\u00a0]+")
_LONGEST_SHORT: Final = 6
_NO_COUNTRY: Final = "001"


class Kind(StrEnum):
    FIXED_LINE = "fixed_line"
    MOBILE = "mobile"
    FIXED_LINE_OR_MOBILE = "fixed_line_or_mobile"
    TOLL_FREE = "toll_free"
    PREMIUM_RATE = "premium_rate"
    SHARED_COST = "shared_cost"
    VOIP = "voip"
    PERSONAL_NUMBER = "personal_number"
    PAGER = "pager"
    UAN = "uan"
    VOICEMAIL = "voicemail"
    # Satellites and services that belong to no country.
    INTERNATIONAL = "international"
    # Emergency numbers and service numbers of a few digits.
    SHORT = "short"
    UNKNOWN = "unknown"


_KINDS: Final = {
    PhoneNumberType.FIXED_LINE: Kind.FIXED_LINE,
    PhoneNumberType.MOBILE: Kind.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Kind.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: Kind.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: Kind.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST: Kind.SHARED_COST,
    PhoneNumberType.VOIP: Kind.VOIP,
    PhoneNumberType.PERSONAL_NUMBER: Kind.PERSONAL_NUMBER,
    PhoneNumberType.PAGER: Kind.PAGER,
    PhoneNumberType.UAN: Kind.UAN,
    PhoneNumberType.VOICEMAIL: Kind.VOICEMAIL,
}
# Only these stand for a place; a toll-free +1 number may ring in any country of North America.
_PLACED: Final = frozenset({Kind.FIXED_LINE, Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE})


class InvalidPhoneError(ValueError):
    """The text is no telephone number; the message says how to write one."""


class ShortNumberError(InvalidPhoneError):
    """An emergency number, or a service number of a few digits, which belongs to nobody."""


@dataclass(frozen=True, slots=True)
class Phone:
    """`country` is an ISO code, empty when unknown. `zones` are all in which the phone may ring, empty when unknown.

    Numbers that no operator hands out have `is_assignable` False and the kind `unknown`.
    """

    e164: str
    kind: Kind
    country: str
    zones: tuple[str, ...]
    is_assignable: bool


def to_e164(text: str) -> str:
    """The number as +<country code><number>. Raises InvalidPhoneError, ShortNumberError."""
    return phonenumbers.format_number(_parse(text), phonenumbers.PhoneNumberFormat.E164)


def parse_phone(text: str) -> Phone:
    """Raises InvalidPhoneError, ShortNumberError."""
    number = _parse(text)
    kind, country = _kind(number), phonenumbers.region_code_for_number(number) or ""
    return Phone(
        e164=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
        kind=kind,
        country="" if country == _NO_COUNTRY else country,
        zones=_zones(number, kind, country),
        is_assignable=phonenumbers.is_valid_number(number),
    )


def _parse(text: str) -> phonenumbers.PhoneNumber:
    text = text.strip()
    shown = text[:LONGEST_TEXT]
    digits = sum(character.isdigit() for character in text)
    if text and not text.startswith("+") and digits <= _LONGEST_SHORT and _WRITTEN.fullmatch(text):
        raise ShortNumberError(f"{shown!r} is an emergency or service number. Give a person's number, such as +12125550123.")
    if not text.startswith("+"):
        raise InvalidPhoneError(f"{shown!r} lacks its country code. Write it with + and the country code, such as +12125550123.")
    if len(text) > LONGEST_TEXT or not _WRITTEN.fullmatch(text):
        raise InvalidPhoneError(f"{shown!r} is no telephone number. Use + and digits only, such as +12125550123.")
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException as error:
        raise InvalidPhoneError(f"{shown!r} is no telephone number: check its country code and its length.") from error
    return _checked(number, shown)


def _checked(number: phonenumbers.PhoneNumber, shown: str) -> phonenumbers.PhoneNumber:
    if phonenumbers.is_valid_number(number):
        return number
    if len(phonenumbers.national_significant_number(number)) <= _LONGEST_SHORT:
        if phonenumbers.is_possible_short_number(number):
            raise ShortNumberError(f"{shown!r} is an emergency or service number. Give a person's number, such as +12125550123.")
        raise InvalidPhoneError(f"{shown!r} is too short for its country. Check that no digit is missing.")
    if not phonenumbers.is_possible_number(number):
        raise InvalidPhoneError(f"{shown!r} has too many or too few digits for its country. Check the number.")
    return number


def _kind(number: phonenumbers.PhoneNumber) -> Kind:
    if phonenumbers.region_code_for_country_code(number.country_code or 0) == _NO_COUNTRY:
        return Kind.INTERNATIONAL
    return _KINDS.get(phonenumbers.number_type(number), Kind.UNKNOWN)


def _zones(number: phonenumbers.PhoneNumber, kind: Kind, country: str) -> tuple[str, ...]:
    """Numbering plans that span countries are narrowed down to the number's own."""
    found = tuple(zone for zone in time_zones_for_number(number) if zone != "Etc/Unknown")
    if kind in _PLACED:
        found = tuple(zone for zone in found if country_of_zone(zone) == country) or found
    return found or zones_of_country(country)
