"""Leads, the numbers nobody calls, and calling windows, as staff handle them."""

from collections.abc import Callable
from datetime import time

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from calls.models import CallingWindow, Consent, Lead, Suppression
from calls.services.people import create_lead, create_window, suppress
from tenants.models import AuditEvent, Tenant, TenantLimits
from tenants.scope import tenant_scope

PHONE = "+12125550123"


@pytest.fixture
def lead(tenant: Tenant) -> Lead:
    with tenant_scope(tenant):
        made = create_lead(lead=Lead(phone=PHONE, name="Ada", metadata={"crm": "<b>4711</b>"}))
        Consent.objects.create(lead=made, kind="calls", basis="Ticked a box", given_at=timezone.now(), created_at=timezone.now())
    return made


@pytest.fixture
def suppression(tenant: Tenant) -> Suppression:
    with tenant_scope(tenant):
        return suppress(phone=PHONE, source="agent", reason="asked").row


def url(name: str, *args: object) -> str:
    return reverse(f"admin:calls_{name}", args=args)


def test_a_lead_is_added_and_changed_through_its_service(root_of: Callable[[Tenant], Client], tenant: Tenant) -> None:
    client, data = root_of(tenant), {"phone": "+1 (212) 555-0123", "name": "Ada"}
    assert client.post(url("lead_add"), data).status_code == 302
    with tenant_scope(tenant):
        lead = Lead.objects.get(phone=PHONE)
    twice = client.post(url("lead_add"), data)
    assert "There is a lead with this number already" in twice.content.decode()
    assert "lacks its country code" in client.post(url("lead_add"), {"phone": "2125550123"}).content.decode()
    inline = {"consents-TOTAL_FORMS": "0", "consents-INITIAL_FORMS": "0"}
    changed = {"phone": PHONE, "name": "Bea", "timezone": "America/Denver", **inline}
    assert client.post(url("lead_change", lead.pk), changed).status_code == 302
    lead.refresh_from_db()
    assert (lead.name, lead.timezone, lead.tenant) == ("Bea", "America/Denver", tenant)
    with tenant_scope(tenant):
        events = AuditEvent.objects.filter(target_id=lead.pk).order_by("id").values_list("action", "fields")
        assert [(action, set(fields)) for action, fields in events] == [
            ("lead.created", {"phone", "name"}),
            ("lead.changed", {"name", "timezone"}),
        ]


def test_a_leads_page_shows_consents_to_read(root: Client, lead: Lead) -> None:
    page = root.get(url("lead_change", lead.pk)).content.decode()
    assert "Ticked a box" in page
    assert "crm: &lt;b&gt;4711&lt;/b&gt;" in page
    assert 'name="consents-0-basis"' not in page
    assert "agreed to calls" in root.get(url("lead_changelist")).content.decode()
    assert root.post(url("lead_delete", lead.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("term", ["+1 (212) 555-0123", "2125550", "Ada"])
def test_a_lead_is_found_by_number_in_any_notation(root: Client, lead: Lead, term: str) -> None:
    assert str(lead.pk) in root.get(url("lead_changelist"), {"q": term}).content.decode()
    assert str(lead.pk) not in root.get(url("lead_changelist"), {"q": "+1 212 555 0199"}).content.decode()


def test_a_number_is_suppressed_once(root_of: Callable[[Tenant], Client], lead: Lead, tenant: Tenant) -> None:
    client, data = root_of(tenant), {"phone": "+1 212 555 0123", "source": "complaint", "reason": "wrote"}
    answers = [client.post(url("suppression_add"), data, follow=True).content.decode() for _ in range(2)]
    assert "suppressed already" not in answers[0]
    assert "suppressed already" in answers[1]
    past = {**data, "phone": "+12125550124", "expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}
    assert "This moment has passed" in client.post(url("suppression_add"), past).content.decode()
    with tenant_scope(tenant):
        assert Suppression.objects.get().source == "complaint"
        assert AuditEvent.objects.get(action="suppression.added").actor_id is not None
    assert "do not call" in client.get(url("lead_changelist")).content.decode()


def test_a_suppression_is_lifted_with_a_reason_by_those_who_may(
    staff: Callable[..., Client], tenant: Tenant, suppression: Suppression
) -> None:
    page, lift = url("suppression_change", suppression.pk), url("suppression_lift", suppression.pk)
    lift_form = 'action="../lift/"'
    reader, lifter = (staff(tenant, "view_suppression", *more) for more in ((), ("lift_suppression",)))
    assert lift_form not in reader.get(page).content.decode()
    assert reader.post(lift, {"reason": "x"}).status_code == 403
    assert lift_form in lifter.get(page).content.decode()
    lifter.post(lift, {"reason": ""})
    suppression.refresh_from_db()
    assert suppression.lifted_at is None
    lifter.post(lift, {"reason": "Wants calls again"})
    suppression.refresh_from_db()
    assert suppression.lift_reason == "Wants calls again"
    assert suppression.lifted_by is not None
    assert "Wants calls again" in lifter.get(page).content.decode()


def test_suppressions_are_neither_edited_nor_deleted(root: Client, suppression: Suppression) -> None:
    assert root.post(url("suppression_change", suppression.pk), {"phone": "+12125550124"}).status_code == 403
    assert root.post(url("suppression_delete", suppression.pk), {"post": "yes"}).status_code == 403
    suppression.refresh_from_db()
    assert suppression.phone == PHONE


def test_windows_are_added_changed_and_deleted(root_of: Callable[[Tenant], Client], tenant: Tenant) -> None:
    client, data = root_of(tenant), {"country": "DE", "weekdays": ["5", "1"], "starts_at": "09:00", "ends_at": "18:00"}
    assert client.post(url("callingwindow_add"), data).status_code == 302
    with tenant_scope(tenant):
        window = CallingWindow.objects.get()
    assert window.weekdays == [1, 5]
    wrong = client.post(url("callingwindow_add"), {**data, "country": "UK", "ends_at": "08:00"}).content.decode()
    assert "is no country" in wrong
    assert client.post(url("callingwindow_change", window.pk), {**data, "weekdays": ["1"]}).status_code == 302
    assert "Germany" in client.get(url("callingwindow_changelist")).content.decode()
    assert client.post(url("callingwindow_delete", window.pk), {"post": "yes"}).status_code == 302
    with tenant_scope(tenant):
        assert not CallingWindow.objects.exists()
        actions = AuditEvent.objects.filter(target_id=window.pk).order_by("id").values_list("action", flat=True)
        assert list(actions) == [f"calling_window.{what}" for what in ("created", "changed", "deleted")]


def test_another_tenants_people_are_not_there(
    staff: Callable[..., Client], other_tenant: Tenant, lead: Lead, suppression: Suppression, tenant: Tenant
) -> None:
    with tenant_scope(tenant):
        window = create_window(window=CallingWindow(starts_at=time(9), ends_at=time(18)))
    rights = ["view_lead", "change_lead", "view_suppression", "lift_suppression", "change_callingwindow", "view_callingwindow"]
    client = staff(other_tenant, *rights)
    for name, row in (("lead", lead), ("suppression", suppression), ("callingwindow", window)):
        assert client.get(url(f"{name}_change", row.pk)).status_code == 404
        assert str(row.pk) not in client.get(url(f"{name}_changelist")).content.decode()
    assert client.post(url("suppression_lift", suppression.pk), {"reason": "x"}).status_code == 404
    suppression.refresh_from_db()
    assert suppression.lifted_at is None


def test_staff_say_which_countries_a_tenant_may_call(root: Client, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        limits = TenantLimits.objects.get()
    page = reverse("admin:tenants_tenant_change", args=[tenant.pk])
    assert "allowed_countries" in root.get(page).content.decode()
    form = root.get(page).context["inline_admin_formsets"][0].formset
    data = {f"{form.prefix}-{name}": value for name, value in form.management_form.initial.items() if value is not None}
    data |= {"name": tenant.name, "slug": tenant.slug, "timezone": "UTC", "currency": "USD"}
    prefix = f"{form.prefix}-0"
    data |= {f"{prefix}-id": str(limits.pk), f"{prefix}-max_open_calls": "10", f"{prefix}-allowed_countries": "US,UK"}
    assert "is no country" in root.post(page, data).content.decode()
    assert root.post(page, data | {f"{prefix}-allowed_countries": "US,GB"}).status_code == 302
    limits.refresh_from_db()
    assert limits.allowed_countries == ["US", "GB"]


def test_another_tenants_suppression_says_nothing_about_a_lead(root: Client, lead: Lead, other_tenant: Tenant) -> None:
    with tenant_scope(other_tenant):
        suppress(phone=PHONE, source="agent", reason="asked")
    page = root.get(url("lead_changelist")).content.decode()
    assert str(lead.pk) in page
    assert "do not call" not in page.split('id="result_list"')[1].lower()
