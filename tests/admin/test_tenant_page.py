"""A tenant's life, features and members, each with its reason and history."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from analytics.models import DailyRollup
from tenants.models import AuditEvent, Membership, Tenant, TenantFeature, TenantLimits, User
from tenants.scope import tenant_scope
from tests.admin.conftest import House

MESSAGES = "voice-agent-tool-take-message"
EDITOR = ("view_tenant", "change_tenant")


def url_of(tenant: Tenant, name: str = "change") -> str:
    return reverse(f"admin:tenants_tenant_{name}", args=[tenant.pk])


def switched(*, on: bool, most: str = "2", reason: str = "asked by phone") -> dict[str, str]:
    choice = "on" if on else "off"
    return {"feature": MESSAGES, "choice": choice, f"{MESSAGES}-max_per_call": most, f"{MESSAGES}-why-reason": reason}


def test_a_tenant_is_added_with_its_limits(root: Client) -> None:
    data = {"name": "Quick Plumbing", "slug": "quick", "agency": "", "timezone": "Europe/Berlin", "currency": "EUR"}
    assert root.post(reverse("admin:tenants_tenant_add"), data).status_code == 302
    tenant = Tenant.objects.get(slug="quick")
    with tenant_scope(tenant):
        assert TenantLimits.objects.count() == 1
        assert AuditEvent.objects.filter(action="tenant.created").count() == 1
    wrong = root.post(reverse("admin:tenants_tenant_add"), {**data, "slug": "two", "name": "Two", "timezone": "Mars/Base"})
    assert "timezone" in wrong.context["adminform"].form.errors


def test_general_and_limits_are_changed_together(root: Client, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        limits = TenantLimits.objects.get()
    prefix = next(formset.formset.prefix for formset in root.get(url_of(tenant)).context["inline_admin_formsets"])
    data = {
        "name": "Renamed", "slug": tenant.slug, "agency": "", "timezone": "UTC", "currency": "USD",
        f"{prefix}-TOTAL_FORMS": "1", f"{prefix}-INITIAL_FORMS": "1", f"{prefix}-0-id": str(limits.pk),
        f"{prefix}-0-tenant": str(tenant.pk), f"{prefix}-0-max_open_calls": "3",
        f"{prefix}-0-calls_per_phone_day": "1",
    }  # fmt: skip
    response = root.post(url_of(tenant), data)
    assert response.status_code == 302, response.context["errors"]
    tenant.refresh_from_db()
    limits.refresh_from_db()
    assert (tenant.name, limits.max_open_calls, limits.calls_per_phone_day) == ("Renamed", 3, 1)
    with tenant_scope(tenant):
        noted = dict(AuditEvent.objects.values_list("action", "fields"))
    assert noted["tenant.changed"] == ["name"]
    assert noted["limits.changed"] == ["max_open_calls", "calls_per_phone_day"]


def test_a_feature_is_switched_with_a_reason_and_its_history_shows(staff: Callable[..., Client], tenant: Tenant) -> None:
    client, url = staff(tenant, *EDITOR), url_of(tenant, "features")
    assert client.post(url, switched(on=False)).status_code == 302
    with tenant_scope(tenant):
        assert TenantFeature.objects.get(feature_key=MESSAGES).enabled is False
    assert client.post(url, switched(on=True, most="4")).status_code == 302
    with tenant_scope(tenant):
        feature = TenantFeature.objects.get(feature_key=MESSAGES)
    assert (feature.enabled, feature.config) == (True, {"max_per_call": 4})
    page = client.get(url).content.decode()
    assert "“asked by phone”" in page
    assert "settings changed: max per call" in page
    assert "History (2)" in page


@pytest.mark.parametrize(("most", "reason", "told"), [("99", "why not", "max_per_call"), ("2", "", "reason")])
def test_a_wrong_setting_or_a_missing_reason_is_marked(
    staff: Callable[..., Client], tenant: Tenant, most: str, reason: str, told: str
) -> None:
    response = staff(tenant, *EDITOR).post(url_of(tenant, "features"), switched(on=False, most=most, reason=reason))
    row = next(row for row in response.context["rows"] if row["key"] == MESSAGES)
    assert told in {**row["form"].errors, **row["reason"].errors}
    with tenant_scope(tenant):
        assert not TenantFeature.objects.exists()


def test_features_and_members_need_the_right_to_change(staff: Callable[..., Client], tenant: Tenant) -> None:
    client = staff(tenant, "view_tenant")
    assert client.post(url_of(tenant, "features"), switched(on=False)).status_code == 403
    assert client.post(url_of(tenant, "members"), {"person": "x", "role": "owner"}).status_code == 403
    assert client.post(url_of(tenant, "status"), {"to": "suspended", "reason": "x"}).status_code == 403
    page = client.get(url_of(tenant, "features")).content.decode()
    assert ">Save</button>" not in page


def test_suspending_and_activating_are_kept_with_their_reasons(staff: Callable[..., Client], tenant: Tenant) -> None:
    client = staff(tenant, *EDITOR, "suspend_tenant")
    client.post(url_of(tenant, "status"), {"to": "suspended", "reason": ""})
    tenant.refresh_from_db()
    assert tenant.status == "trial"
    client.post(url_of(tenant, "status"), {"to": "suspended", "reason": "unpaid"})
    tenant.refresh_from_db()
    assert tenant.status == "suspended"
    assert "Activate" in client.get(url_of(tenant)).content.decode()
    client.post(url_of(tenant, "status"), {"to": "active", "reason": "paid"})
    with tenant_scope(tenant):
        reasons = list(
            AuditEvent.objects.filter(action__in=["tenant.suspended", "tenant.active"]).values_list("reason", flat=True)
        )
    assert sorted(reasons) == ["paid", "unpaid"]


def test_members_come_change_and_go_but_an_owner_stays(
    root_of: Callable[[Tenant], Client], make_user: Callable[..., User], tenant: Tenant
) -> None:
    client, url = root_of(tenant), url_of(tenant, "members")
    make_user(username="kim", email="kim@example.com")
    assert "person" in client.post(url, {"person": "nobody", "role": "owner"}).context["form"].errors
    assert client.post(url, {"person": "KIM@example.com", "role": "owner"}).status_code == 302
    assert "person" in client.post(url, {"person": "kim", "role": "viewer"}).context["form"].errors
    with tenant_scope(tenant):
        kim = Membership.objects.get(user__username="kim")
    for data in ({"role": "viewer"}, {"remove": "1"}):
        page = client.post(url, {"member": str(kim.pk), **data}, follow=True).content.decode()
        assert "owner" in page
    with tenant_scope(tenant):
        assert Membership.objects.get(pk=kim.pk).role == "owner"


def test_a_member_is_removed(root_of: Callable[[Tenant], Client], make_member: Callable[..., Membership], tenant: Tenant) -> None:
    member = make_member(tenant)
    client, url = root_of(tenant), url_of(tenant, "members")
    client.post(url, {"member": str(member.pk), "role": "admin"})
    with tenant_scope(tenant):
        assert Membership.objects.get(pk=member.pk).role == "admin"
    client.post(url, {"member": str(member.pk), "remove": "1"})
    with tenant_scope(tenant):
        assert not Membership.objects.filter(pk=member.pk).exists()


def test_usage_is_summed_and_test_calls_counted_only_when_asked_for(root_of: Callable[[Tenant], Client], house: House) -> None:
    with tenant_scope(house.tenant):
        DailyRollup.objects.create(
            day=house.call.created_at.date(), agent=house.agent, kind="simulated", livemode=False, currency="USD", calls=7
        )
    client = root_of(house.tenant)
    assert not client.get(url_of(house.tenant, "usage")).context["has_figures"]
    assert client.get(url_of(house.tenant, "usage"), {"tests": "1"}).context["has_figures"]


def test_a_member_of_staff_cannot_move_a_tenant_to_another_agency(
    staff: Callable[..., Client], tenant: Tenant, other_tenant: Tenant
) -> None:
    page = staff(tenant, *EDITOR).get(url_of(tenant))
    assert "agency" not in page.context["adminform"].form.fields
    assert other_tenant.name not in page.content.decode()
