"""Who may be called, and when."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calls.errors import GateRefusedError
from calls.models import CallingWindow, Consent, Lead, Suppression
from calls.services.gates import GATES, OVERRIDABLE, Verdict, check_person
from calls.services.people import create_lead, create_window, lift_suppression, suppress
from tenants.models import AuditEvent, Tenant, TenantLimits
from tenants.scope import tenant_scope

NEW_YORK, IDAHO, TOLL_FREE, BERLIN = "+12125550123", "+12085550123", "+18005550123", "+4930901820"
WORKDAYS = [1, 2, 3, 4, 5]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


NOON = utc(2026, 11, 18, 17)  # 12:00 in New York, 10:00 and 09:00 in Idaho, 18:00 in Berlin


@pytest.fixture
def allowed(scope: Tenant) -> Tenant:
    """The tenant may call the United States and Germany."""
    TenantLimits.objects.update(allowed_countries=["US", "DE"])
    return scope


def check(phone: str = NEW_YORK, **options: Any) -> Verdict:
    return check_person(**{"phone": phone, "now": NOON, "requires_consent": False} | options)


def window(**fields: Any) -> CallingWindow:
    return create_window(window=CallingWindow(**{"weekdays": WORKDAYS, "starts_at": time(9), "ends_at": time(18)} | fields))


def lead(phone: str = NEW_YORK, **fields: Any) -> Lead:
    return create_lead(lead=Lead(phone=phone, **fields))


def consent(of: Lead, **fields: Any) -> Consent:
    defaults = {"kind": "calls", "basis": "form", "given_at": NOON - timedelta(days=1), "created_at": NOON}
    return Consent.objects.create(lead=of, **defaults | fields)


def test_a_person_may_be_called_at_noon(allowed: Tenant) -> None:
    verdict = check("+1 (212) 555-0123")
    assert verdict == Verdict(allowed=True, phone=NEW_YORK)
    verdict.require()
    assert check(BERLIN).allowed


@pytest.mark.parametrize(
    ("phone", "code"),
    [
        ("911", "number_type_not_allowed"),
        ("+1911", "number_type_not_allowed"),
        ("+49112", "number_type_not_allowed"),
        ("+19002345678", "number_type_not_allowed"),
        ("+491801234567", "number_type_not_allowed"),
        ("+881612345678", "number_type_not_allowed"),
        ("+883510001234567", "number_type_not_allowed"),
        ("+979123456789", "number_type_not_allowed"),
        ("+4970012345678", "number_type_not_allowed"),
        ("+18762345678", "country_not_allowed"),
        ("+12423591234", "country_not_allowed"),
        ("+442079460958", "country_not_allowed"),
        ("2125550123", "invalid_number"),
        ("+1212555012", "invalid_number"),
        ("+15551234567", "invalid_number"),
        ("", "invalid_number"),
        ("drop table", "invalid_number"),
    ],
)
def test_some_numbers_are_never_called_whatever_the_reason(allowed: Tenant, phone: str, code: str) -> None:
    for reason in ("", "the boss said so"):
        verdict = check(phone, override_reason=reason)
        assert (verdict.allowed, verdict.code, verdict.retry_at) == (False, code, None)
        assert len(verdict.sentence) > 20
    assert not AuditEvent.objects.filter(action="gates.overridden").exists()


@pytest.mark.parametrize(
    ("zone", "listed", "passing"),
    [
        ("UTC", [], []),
        ("America/Chicago", [], [NEW_YORK]),
        ("US/Central", [], [NEW_YORK]),
        ("Europe/Berlin", [], [BERLIN]),
        ("America/Chicago", ["DE"], [BERLIN]),
        ("UTC", ["US", "DE"], [NEW_YORK, BERLIN]),
    ],
)
def test_a_country_is_called_when_it_is_listed_or_else_at_home(
    make_tenant: Callable[..., Tenant], zone: str, listed: list[str], passing: list[str]
) -> None:
    with tenant_scope(make_tenant(timezone=zone)):
        TenantLimits.objects.update(allowed_countries=listed)
        found = {phone: check(phone) for phone in (NEW_YORK, BERLIN)}
    assert [phone for phone, verdict in found.items() if verdict.allowed] == passing
    assert {verdict.code for verdict in found.values()} <= {"", "country_not_allowed"}


def test_a_suppressed_number_is_not_called_until_that_is_lifted(allowed: Tenant) -> None:
    row = suppress(phone=NEW_YORK, source="complaint").row
    verdict = check()
    assert (verdict.code, verdict.retry_at) == ("recipient_suppressed", None)
    assert "this account" in verdict.sentence
    assert check("+12125550124").allowed
    lift_suppression(suppression=row, reason="asked for a call")
    assert check().allowed


def test_an_agencys_suppression_holds_for_its_customers_only(make_tenant: Callable[..., Tenant]) -> None:
    agency = make_tenant(timezone="America/Chicago")
    child, sibling, stranger = (make_tenant(timezone="America/Chicago", agency=owner) for owner in (agency, agency, None))
    with tenant_scope(agency):
        suppress(phone=NEW_YORK, source="agent")
    with tenant_scope(sibling):
        suppress(phone=IDAHO, source="agent")
    codes = {}
    for tenant in (agency, child, sibling, stranger):
        with tenant_scope(tenant):
            codes[tenant] = [check(NEW_YORK).code, check(IDAHO).code]
    refused = "recipient_suppressed"
    assert codes == {agency: [refused, ""], child: [refused, ""], sibling: [refused, refused], stranger: ["", ""]}
    with tenant_scope(child):
        assert "the agency" in check().sentence


def test_a_suppression_ends_when_it_expires(allowed: Tenant) -> None:
    at = {"phone": NEW_YORK, "created_at": NOON - timedelta(days=9)}
    Suppression.objects.create(**at, expires_at=NOON)
    assert check().allowed
    Suppression.objects.update(expires_at=NOON + timedelta(seconds=1))
    assert check().retry_at == NOON + timedelta(seconds=1)
    # It expires at 23:00 in New York.
    Suppression.objects.update(expires_at=utc(2026, 11, 19, 4))
    assert check().retry_at == utc(2026, 11, 19, 13)
    assert check(requires_consent=True).retry_at is None


def test_a_call_that_needs_consent_looks_for_one(allowed: Tenant) -> None:
    assert check(requires_consent=True).code == "no_consent"
    person, other = lead(), lead("+12125550124")
    consent(other)
    consent(person, kind="recording")
    consent(person, given_at=NOON + timedelta(hours=1))
    given = consent(person, withdrawn_at=NOON)
    assert check(requires_consent=True).code == "no_consent"
    Consent.objects.filter(pk=given.pk).update(withdrawn_at=None)
    assert check(requires_consent=True).allowed
    assert check(requires_consent=True, phone="+1 212-555-0123").allowed


@pytest.mark.parametrize(
    ("phone", "now", "opens_at"),
    [
        (NEW_YORK, utc(2026, 11, 18, 12, 59, 59), utc(2026, 11, 18, 13)),
        (NEW_YORK, utc(2026, 11, 18, 13), None),
        (NEW_YORK, utc(2026, 11, 19, 1, 59, 59), None),
        (NEW_YORK, utc(2026, 11, 19, 2), utc(2026, 11, 19, 13)),
        # Idaho has two clocks.
        (IDAHO, utc(2026, 11, 18, 15, 30), utc(2026, 11, 18, 16)),
        (IDAHO, utc(2026, 11, 18, 16), None),
        (IDAHO, utc(2026, 11, 19, 4, 30), utc(2026, 11, 19, 16)),
        # The nights in which the clocks change.
        (NEW_YORK, utc(2026, 3, 8, 3), utc(2026, 3, 8, 12)),
        (NEW_YORK, utc(2026, 11, 1, 2), utc(2026, 11, 1, 13)),
        (BERLIN, utc(2026, 3, 28, 22), utc(2026, 3, 29, 6)),
        (BERLIN, utc(2026, 10, 24, 22), utc(2026, 10, 25, 7)),
    ],
)
def test_the_default_window_by_the_clocks_of_the_number(
    allowed: Tenant, phone: str, now: datetime, opens_at: datetime | None
) -> None:
    verdict = check(phone, now=now)
    assert (verdict.allowed, verdict.retry_at) == (opens_at is None, opens_at)
    assert verdict.code == ("" if verdict.allowed else "outside_calling_window")


def test_a_number_that_may_ring_anywhere_needs_a_place(allowed: Tenant) -> None:
    # When it is 8 in the morning on Guam, it is half past 6 in the evening on Newfoundland.
    assert check(TOLL_FREE).retry_at == utc(2026, 11, 18, 22)
    window(weekdays=[1, 2, 3, 4, 5, 6, 7], starts_at=time(9), ends_at=time(16))
    verdict = check(TOLL_FREE)
    assert (verdict.code, verdict.retry_at) == ("outside_calling_window", None)
    assert "set the lead's time zone" in verdict.sentence
    lead(TOLL_FREE, timezone="America/Denver")
    assert check(TOLL_FREE).allowed
    assert check(TOLL_FREE, now=utc(2026, 11, 18, 14)).retry_at == utc(2026, 11, 18, 16)


def test_windows_of_weekdays_wait_for_monday(allowed: Tenant) -> None:
    window()
    friday_evening, saturday = utc(2026, 11, 20, 23), utc(2026, 11, 21, 17)
    assert check(now=utc(2026, 11, 20, 22, 59, 59)).allowed
    for now in (friday_evening, saturday):
        assert check(now=now).retry_at == utc(2026, 11, 23, 14)
    window(weekdays=[6], starts_at=time(10), ends_at=time(14))
    assert check(now=friday_evening).retry_at == utc(2026, 11, 21, 15)
    assert check(now=saturday).allowed


def test_a_countrys_windows_replace_those_for_every_country(allowed: Tenant) -> None:
    window(starts_at=time(6), ends_at=time(7))
    window(country="DE", starts_at=time(9), ends_at=time(12))
    window(country="DE", starts_at=time(17), ends_at=time(20))
    window(country="CA")
    assert check(BERLIN).allowed
    assert check(BERLIN, now=utc(2026, 11, 18, 12)).retry_at == utc(2026, 11, 18, 16)
    assert check(NEW_YORK).retry_at == utc(2026, 11, 19, 11)


def test_leads_consents_and_windows_of_other_tenants_mean_nothing(make_tenant: Callable[..., Tenant]) -> None:
    mine, theirs = (make_tenant(timezone="America/Chicago") for _ in range(2))
    with tenant_scope(theirs):
        window(weekdays=[7])
        consent(lead(timezone="Asia/Tokyo"))
    with tenant_scope(mine):
        assert check().allowed
        assert check(requires_consent=True).code == "no_consent"


def test_the_first_refusal_is_told_and_a_reason_overrides_them_all(allowed: Tenant) -> None:
    suppress(phone=NEW_YORK, source="customer")
    TenantLimits.objects.update(calls_per_phone_day=0)
    asked = {"now": utc(2026, 11, 18, 5), "requires_consent": True}
    assert check(**asked).code == "recipient_suppressed"
    before = AuditEvent.objects.count()
    verdict = check(**asked, override_reason="She is waiting for this call")
    assert verdict.allowed
    assert set(verdict.overridden) == OVERRIDABLE
    event = AuditEvent.objects.get(action="gates.overridden")
    assert (event.reason, set(event.data)) == ("She is waiting for this call", set(OVERRIDABLE))
    assert (event.target_type, event.target_id) == ("tenants.tenant", allowed.pk)
    assert AuditEvent.objects.count() == before + 1


def test_a_reason_that_was_not_needed_leaves_no_trace(allowed: Tenant) -> None:
    assert check(override_reason="just in case").overridden == ()
    assert not AuditEvent.objects.filter(action="gates.overridden").exists()


def test_a_refusal_can_be_raised(allowed: Tenant) -> None:
    with pytest.raises(GateRefusedError, match="outside the calling window") as refused:
        check(now=utc(2026, 11, 18, 12)).require()
    assert (refused.value.code, refused.value.retry_at) == ("outside_calling_window", utc(2026, 11, 18, 13))
    assert refused.value.code in GATES


times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
pairs = st.tuples(times, times).filter(lambda pair: pair[0] < pair[1])
rows = st.lists(st.tuples(st.sets(st.integers(1, 7), min_size=1), pairs, st.sampled_from(["", "US", "DE"])), max_size=3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows,
    st.sampled_from([NEW_YORK, IDAHO, TOLL_FREE, BERLIN]),
    st.builds(lambda seconds: utc(2026, 1, 1) + timedelta(seconds=seconds), st.integers(0, 2 * 365 * 86400)),
    st.one_of(st.none(), st.timedeltas(timedelta(seconds=1), timedelta(days=3))),
)
def test_what_is_refused_until_a_moment_passes_at_that_moment(
    allowed: Tenant, rows: list[Any], phone: str, now: datetime, suppressed_for: timedelta | None
) -> None:
    CallingWindow.objects.all().delete()
    Suppression.objects.all().delete()
    for days, (starts_at, ends_at), country in rows:
        window(weekdays=days, starts_at=starts_at, ends_at=ends_at, country=country)
    if suppressed_for:
        Suppression.objects.create(phone=phone, created_at=now, expires_at=now + suppressed_for)
    verdict = check(phone, now=now)
    if verdict.retry_at is not None:
        assert verdict.retry_at > now
        assert check(phone, now=verdict.retry_at).allowed


def test_a_public_holiday_where_the_number_belongs_is_no_day_for_calls(allowed: Tenant) -> None:
    thanksgiving = utc(2026, 11, 26, 17)
    verdict = check(now=thanksgiving)
    assert (verdict.code, verdict.retry_at) == ("outside_calling_window", utc(2026, 11, 27, 13))
    assert "on Thanksgiving Day" in verdict.sentence
    assert check(BERLIN, now=thanksgiving).allowed
    window(country="US", weekdays=[4], on_holidays=True)
    assert check(now=thanksgiving).allowed
