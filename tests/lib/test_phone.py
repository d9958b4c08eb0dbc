import phonenumbers
import pytest
from phonenumbers import PhoneNumberType

from voiceplatform.lib.countries import countries, country_of_zone, zones_of_country
from voiceplatform.lib.phone import InvalidPhoneError, Kind, ShortNumberError, parse_phone, to_e164

TYPES = {
    PhoneNumberType.PREMIUM_RATE: Kind.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST: Kind.SHARED_COST,
    PhoneNumberType.PAGER: Kind.PAGER,
    PhoneNumberType.VOICEMAIL: Kind.VOICEMAIL,
    PhoneNumberType.PERSONAL_NUMBER: Kind.PERSONAL_NUMBER,
}


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("+1 (212) 555-0123", "+12125550123"),
        (" +49/30-901820 ", "+4930901820"),
        ("+44 (0) 20 7946 0958", "+442079460958"),
        ("+39 06 6982 0000", "+390669820000"),
        ("+1\u00a0212\u2011555\u20110123", "+12125550123"),
    ],
)
def test_every_notation_of_a_number_is_one_text(text: str, e164: str) -> None:
    assert to_e164(text) == e164


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("", "country code"),
        ("+", "country code"),
        ("2125550123", "country code"),
        ("(212) 555-0123", "country code"),
        ("+1 212 555 012", "digits"),
        ("+1 212 555 01234", "digits"),
        ("+999 12345678", "country code"),
        ("+1 800 FLOWERS", "digits only"),
        ("+12125550123 ext. 5", "digits only"),
        ("tel:+12125550123", "country code"),
        ("+1" + "2" * 100, "digits only"),
        ("+12125550123\x00", "digits only"),
        ("sip:a@example.com", "country code"),
    ],
)
def test_a_text_that_is_no_number_is_refused_with_the_fix(text: str, fix: str) -> None:
    with pytest.raises(InvalidPhoneError, match=fix) as refused:
        to_e164(text)
    assert not isinstance(refused.value, ShortNumberError)


@pytest.mark.parametrize("text", ["911", "112", "999", "1 1 0", "+1911", "+49 112", "+44 999", "+39112", "411", "85258"])
def test_short_and_emergency_numbers_are_known(text: str) -> None:
    with pytest.raises(ShortNumberError):
        parse_phone(text)


@pytest.mark.parametrize(
    "text", ["+881612345678", "+88213123456", "+883510001234567", "+870773112345", "+979123456789", "+80012345678"]
)
def test_numbers_of_no_country_are_known(text: str) -> None:
    phone = parse_phone(text)
    assert (phone.kind, phone.country, phone.zones) == (Kind.INTERNATIONAL, "", ())


@pytest.mark.parametrize("kind", TYPES)
def test_costly_numbers_of_every_country_are_known(kind: int) -> None:
    examples = [phonenumbers.example_number_for_type(region, kind) for region in sorted(phonenumbers.SUPPORTED_REGIONS)]
    texts = [phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) for number in examples if number]
    assert len(texts) > 3
    assert {text: parse_phone(text).kind for text in texts} == dict.fromkeys(texts, TYPES[kind])


@pytest.mark.parametrize(
    ("text", "country", "zones"),
    [
        ("+12125550123", "US", {"America/New_York"}),
        ("+12085550123", "US", {"America/Boise", "America/Los_Angeles"}),
        ("+18762345678", "JM", {"America/Jamaica"}),
        ("+442079460958", "GB", {"Europe/London"}),
        ("+919876543210", "IN", {"Asia/Calcutta"}),
        ("+38343201234", "XK", {"Europe/Belgrade"}),
    ],
)
def test_where_a_number_may_ring(text: str, country: str, zones: set[str]) -> None:
    phone = parse_phone(text)
    assert (phone.country, set(phone.zones), phone.is_assignable) == (country, zones, True)


def test_numbers_of_wide_plans_keep_all_their_zones() -> None:
    assert len(parse_phone("+18005550123").zones) > 30
    russian = parse_phone("+79161234567")
    assert {country_of_zone(zone) for zone in russian.zones} == {"RU"}
    assert {"Europe/Moscow", "Asia/Kamchatka"} <= set(russian.zones)


def test_a_number_nobody_has_is_told_from_one_that_may_exist() -> None:
    phone = parse_phone("+15551234567")
    assert (phone.kind, phone.is_assignable, phone.zones) == (Kind.UNKNOWN, False, ())


def test_countries_and_their_zones() -> None:
    assert countries()["DE"] == "Germany"
    assert zones_of_country("DE") == ("Europe/Berlin", "Europe/Busingen")
    assert [country_of_zone(zone) for zone in ("America/Chicago", "US/Central", "Asia/Calcutta")] == ["US", "US", "IN"]
    assert [country_of_zone(zone) for zone in ("UTC", "Etc/GMT+5", "nonsense")] == ["", "", ""]
