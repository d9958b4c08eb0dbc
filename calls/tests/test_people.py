"""Leads, consents, suppressions and windows: what the services store, refuse and note."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from calls.errors import LeadExistsError
from calls.models import CallingWindow, Consent, Lead, Suppression
from calls.services.people import (
    change_lead,
    change_window,
    create_lead,
    create_window,
    delete_window,
    lift_suppression,
    record_consent,
    suppress,
    suppress_all,
    withdraw_consent,
)
from calls.tests.racing import race
from tenants.models import AuditEvent, Tenant
from tenants.scope import tenant_scope

PHONE, OTHER = "+12125550123", "+4930901820"


def lead(phone: str = PHONE, **fields: Any) -> Lead:
    return create_lead(lead=Lead(phone=phone, **fields))


def actions() -> list[str]:
    return [action for action in AuditEvent.objects.order_by("id").values_list("action", flat=True) if action != "tenant.created"]


def test_a_lead_is_kept_under_one_number(scope: Tenant) -> None:
    made = lead("+1 (212) 555-0123", name="Ada", metadata={"crm": "1"})
    made.refresh_from_db()
    assert (made.phone, made.tenant, made.metadata) == (PHONE, scope, {"crm": "1"})
    with pytest.raises(LeadExistsError, match=r"\+12125550123"):
        lead("+1 212-555-0123")
    assert Lead.objects.count() == 1
    assert actions() == ["lead.created"]


def test_another_tenant_may_have_the_same_lead(make_tenant: Any) -> None:
    for tenant in (make_tenant(), make_tenant()):
        with tenant_scope(tenant):
            lead()
            assert Lead.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"phone": "12"}, "phone"),
        ({"email": "nobody"}, "email"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"language": "English!"}, "language"),
    ],
)
def test_a_lead_that_does_not_fit_is_refused_by_field(scope: Tenant, fields: dict[str, str], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        lead(**fields)
    assert list(refused.value.message_dict) == [field]
    assert not Lead.objects.exists()
    assert actions() == []


def test_changing_a_lead_notes_which_fields(scope: Tenant) -> None:
    made, second = lead(), lead(OTHER)
    made.name = "Ada"
    change_lead(lead=made, fields=["name"])
    assert AuditEvent.objects.get(action="lead.changed").fields == ["name"]
    second.phone = PHONE
    with pytest.raises(LeadExistsError):
        change_lead(lead=second, fields=["phone"])
    change_lead(lead=made, fields=[])
    assert AuditEvent.objects.filter(action="lead.changed").count() == 1
    assert set(Lead.objects.values_list("phone", "name")) == {(PHONE, "Ada"), (OTHER, "")}


def test_the_database_takes_numbers_as_e164_only(scope: Tenant) -> None:
    for number in ("12125550123", "+1 2125550123", "+0212555012", "+1", ""):
        with pytest.raises(IntegrityError), transaction.atomic():
            Lead.objects.create(phone=number, created_at=timezone.now())
        with pytest.raises(IntegrityError), transaction.atomic():
            Suppression.objects.create(phone=number, created_at=timezone.now())


def test_consent_is_recorded_and_withdrawn_with_its_history(scope: Tenant) -> None:
    person, now = lead(), timezone.now()
    for kind in ("calls", "calls", "recording"):
        record_consent(consent=Consent(lead=person, kind=kind, basis="form", given_at=now - timedelta(days=1)))
    assert len(withdraw_consent(lead=person, kind="calls", reason="wrote")) == 2
    assert withdraw_consent(lead=person, kind="calls") == []
    assert [consent.kind for consent in person.consents.filter(withdrawn_at=None)] == ["recording"]
    assert person.consents.count() == 3
    assert actions() == ["lead.created", *["consent.recorded"] * 3, *["consent.withdrawn"] * 2]


def test_consent_has_a_basis_and_was_given_in_the_past(scope: Tenant) -> None:
    person = lead()
    good = {"lead": person, "kind": "calls", "basis": "form", "given_at": timezone.now()}
    for wrong in ({"basis": ""}, {"kind": "all"}, {"given_at": timezone.now() + timedelta(hours=1)}, {"given_at": None}):
        with pytest.raises(ValidationError) as refused:
            record_consent(consent=Consent(**good | wrong))
        assert list(refused.value.message_dict) == list(wrong)
    assert not Consent.objects.exists()


def test_suppressing_twice_is_one_suppression_for_the_longer_time(scope: Tenant) -> None:
    now = timezone.now()
    first = suppress(phone="+1 212 555 0123", source="import", expires_at=now + timedelta(days=1))
    again = suppress(phone=PHONE, source="agent", expires_at=now + timedelta(days=2))
    shorter = suppress(phone=PHONE, source="agent", expires_at=now + timedelta(hours=1))
    assert [done.was_new for done in (first, again, shorter)] == [True, False, False]
    assert shorter.row.expires_at == now + timedelta(days=2)
    assert suppress(phone=PHONE, source="complaint").row.expires_at is None
    assert suppress(phone=PHONE, source="agent", expires_at=now + timedelta(days=9)).row.expires_at is None
    assert Suppression.objects.get().source == "import"
    assert actions() == ["suppression.added", "suppression.extended", "suppression.extended"]


def test_an_expired_suppression_makes_room_and_stays_as_history(scope: Tenant) -> None:
    old = suppress(phone=PHONE, source="import", expires_at=timezone.now() + timedelta(days=1)).row
    past = timezone.now() - timedelta(days=5)
    Suppression.objects.update(created_at=past, expires_at=past + timedelta(days=1))
    new = suppress(phone=PHONE, source="agent")
    assert new.was_new
    assert Suppression.objects.in_force(timezone.now()).get() == new.row
    old.refresh_from_db()
    assert (old.lift_reason, old.lifted_at is not None) == ("It had expired.", True)


def test_lifting_keeps_the_row_and_needs_a_reason(scope: Tenant, make_user: Any) -> None:
    row, user = suppress(phone=PHONE, source="agent").row, make_user()
    with pytest.raises(ValidationError):
        lift_suppression(suppression=row, reason=" ")
    assert row.is_in_force(timezone.now())
    assert lift_suppression(suppression=row, reason="asked for it", actor=user)
    assert not lift_suppression(suppression=row, reason="again", actor=user)
    assert (row.lift_reason, row.lifted_by) == ("asked for it", user)
    assert suppress(phone=PHONE, source="agent").was_new
    assert Suppression.objects.count() == 2
    assert AuditEvent.objects.get(action="suppression.lifted").reason == "asked for it"


def test_a_list_of_numbers_is_suppressed_in_few_queries(scope: Tenant, django_assert_max_num_queries: Any) -> None:
    suppress(phone=PHONE, source="agent")
    phones = [PHONE, OTHER, OTHER, *[f"+1212555{number:04}" for number in range(200, 240)]]
    with django_assert_max_num_queries(8 + 41):
        done = suppress_all(wanted=[Suppression(phone=phone, source="import") for phone in phones])
    assert [one.row.phone for one in done] == phones
    assert [one.was_new for one in done] == [False, True, False, *[True] * 40]
    assert Suppression.objects.count() == 42


def test_a_list_with_a_wrong_item_changes_nothing(scope: Tenant) -> None:
    late = timezone.now() - timedelta(seconds=1)
    with pytest.raises(ValidationError):
        suppress_all(wanted=[Suppression(phone=OTHER, source="import"), Suppression(phone=PHONE, source="x")])
    with pytest.raises(ValidationError, match="passed"):
        suppress(phone=PHONE, source="agent", expires_at=late)
    assert not Suppression.objects.exists()
    assert actions() == []


@pytest.mark.django_db(transaction=True)
def test_many_who_suppress_a_number_at_once_make_one_suppression(database_env: dict[str, str], scope: Tenant) -> None:
    body = """
from calls.services.people import suppress
with tenant_scope(UUID(given["tenant"])):
    return suppress(phone="+12125550123", source="agent").was_new
"""
    assert sorted(race(database_env, body, processes=4, tenant=scope.pk)) == [False, False, False, True]
    assert Suppression.objects.count() == 1


def test_windows_are_kept_in_order_and_audited(scope: Tenant) -> None:
    made = create_window(window=CallingWindow(country="DE", weekdays=[5, 1, 1], starts_at=time(9), ends_at=time(18)))
    assert made.weekdays == [1, 5]
    made.ends_at = time(19)
    change_window(window=made, fields=["ends_at"])
    delete_window(window=made)
    assert not CallingWindow.objects.exists()
    assert actions() == ["calling_window.created", "calling_window.changed", "calling_window.deleted"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"ends_at": time(9)}, "ends_at"),
        ({"country": "UK"}, "country"),
        ({"weekdays": [0]}, "weekdays"),
        ({"weekdays": []}, "weekdays"),
    ],
)
def test_a_window_that_does_not_fit_is_refused_by_field(scope: Tenant, wrong: dict[str, Any], field: str) -> None:
    good = {"country": "GB", "weekdays": [1], "starts_at": time(9), "ends_at": time(18)}
    with pytest.raises(ValidationError) as refused:
        create_window(window=CallingWindow(**good | wrong))
    assert list(refused.value.message_dict) == [field]
    with pytest.raises(IntegrityError), transaction.atomic():
        CallingWindow.objects.create(
            **good | wrong | {"created_at": timezone.now(), "country": "gb" if field == "country" else "GB"}
        )
    assert not CallingWindow.objects.exists()
