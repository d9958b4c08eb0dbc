"""Forms, choices and actions stay inside the tenant of the row, also while all tenants are in view."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.db.models import Model
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse

from agents.models import ToolGrant
from calls.models import Call
from tenants.admin.base import ConsoleAdmin
from tenants.models import Membership, Tenant, TenantFeature, TenantModel, TenantRate, User
from tenants.scope import all_tenants, tenant_scope
from tenants.staff import StaffScope, remember_scope
from tests.admin.conftest import House

# A console page whose form has a choice of another tenant-owned row, in case no registered one has.
SAMPLE = ConsoleAdmin(ToolGrant, admin.site)
OWNED = [model for model in admin.site._registry if issubclass(model, TenantModel)]


def request_of(user: User, tenant: Tenant | None) -> HttpRequest:
    request = RequestFactory().get("/admin/")
    request.user = user
    remember_scope(request, StaffScope(tenant=tenant, member_of=None))
    return request


def related_fields(form: type[forms.BaseForm]) -> Iterator[tuple[str, forms.ModelChoiceField]]:
    for name, field in form.base_fields.items():
        if isinstance(field, forms.ModelChoiceField) and issubclass(field.queryset.model, TenantModel):
            yield name, field


def forms_of(page: ModelAdmin, request: HttpRequest, row: Model | None) -> Iterator[type[Any]]:
    yield page.get_form(request, row, change=row is not None)
    for inline in page.get_inline_instances(request, row):
        yield inline.get_formset(request, row).form


@pytest.mark.parametrize("model", [*OWNED, Tenant, User, ToolGrant], ids=lambda model: model.__name__)
def test_choices_of_every_form_are_the_tenants_own(
    make_user: Callable[..., User], house: House, foreign: House, model: Any
) -> None:
    page = admin.site._registry.get(model, SAMPLE)
    request = request_of(make_user(is_staff=True, is_superuser=True), None)
    with all_tenants(), tenant_scope(house.tenant):
        row = model._default_manager.first()
        for form in forms_of(page, request, row) if row or page.has_add_permission(request) else ():
            for name, field in related_fields(form):
                owners = set(field.queryset.values_list("tenant_id", flat=True))
                assert owners <= {house.tenant.pk}, f"{model.__name__}.{name} offers other tenants' rows"
                theirs = field.queryset.model.all_objects.filter(tenant=foreign.tenant).first()
                with pytest.raises(forms.ValidationError):
                    field.clean(str(theirs.pk) if theirs else "01a20bc1-ba2a-7466-9e8f-4208e7f3e376")


def test_autocomplete_knows_only_the_tenant_in_view(root_of: Callable[[Tenant], Client], house: House, foreign: House) -> None:
    params = {"app_label": "calls", "model_name": "call", "field_name": "agent", "term": ""}
    answer = root_of(house.tenant).get(reverse("admin:autocomplete"), params)
    names = [found["text"] for found in answer.json()["results"]] if answer.status_code == 200 else []
    assert foreign.agent.name not in names


def test_the_agent_filter_offers_the_tenants_own_agents(
    root_of: Callable[[Tenant], Client], house: House, foreign: House
) -> None:
    page = root_of(house.tenant).get(reverse("admin:calls_call_changelist")).content.decode()
    assert house.agent.name in page
    assert str(foreign.agent.pk) not in page
    forced = root_of(house.tenant).get(reverse("admin:calls_call_changelist"), {"agent": str(foreign.agent.pk)})
    assert str(foreign.call.pk) not in forced.content.decode()


def test_a_page_of_one_row_saves_into_its_own_tenant_while_all_are_in_view(root: Client, house: House, foreign: House) -> None:
    url = reverse("admin:tenants_tenant_features", args=[house.tenant.pk])
    key = "call-recording"
    assert root.post(url, {"feature": key, "choice": "off", f"{key}-why-reason": "asked for"}).status_code == 302
    with tenant_scope(house.tenant):
        assert TenantFeature.objects.get(feature_key=key).enabled is False
    with tenant_scope(foreign.tenant):
        assert not TenantFeature.objects.exists()


def test_nothing_is_added_while_all_tenants_are_in_view(root: Client, house: House) -> None:
    for name in ("agents_agent", "tenants_tenantrate"):
        assert root.post(reverse(f"admin:{name}_add"), {}).status_code == 403
        told = root.get(reverse(f"admin:{name}_add"), follow=True)
        assert told.redirect_chain[0][0] == reverse(f"admin:{name}_changelist")
        assert "choose its tenant in the header" in told.content.decode()


def test_a_rate_goes_to_the_tenant_in_view(root_of: Callable[[Tenant], Client], house: House, foreign: House) -> None:
    data = {
        "kind": "llm", "provider": "google", "model": "", "unit": "input_token", "price": "1", "per": "1000000",
        "currency": "USD", "source": "contract", "effective_from_0": "2026-11-01", "effective_from_1": "00:00:00",
        "tenant": str(foreign.tenant.pk),
    }  # fmt: skip
    response = root_of(house.tenant).post(reverse("admin:tenants_tenantrate_add"), data)
    assert response.status_code == 302, response.content.decode()[:500]
    with tenant_scope(house.tenant):
        assert TenantRate.objects.get().tenant == house.tenant


def test_posts_to_another_tenants_rows_change_nothing(
    staff: Callable[..., Client], make_house: Callable[..., House], house: House
) -> None:
    theirs = make_house(status="in_progress", finalized=False)
    rights = (
        "view_call", "hang_up_call", "add_call", "view_agent", "change_agent", "publish_agent", "view_tenant", "change_tenant",
        "suspend_tenant", "view_message", "change_message",
    )  # fmt: skip
    client = staff(house.tenant, *rights)
    posts = [
        ("calls_call_hang_up", theirs.call, {"reason": "because"}),
        ("agents_agent_publish", theirs.agent, {}),
        ("agents_agent_start_draft", theirs.agent, {}),
        ("agents_agent_archive", theirs.agent, {}),
        ("agents_agent_simulate", theirs.agent, {"persona": "says_little"}),
        ("tenants_tenant_status", theirs.tenant, {"to": "suspended", "reason": "because"}),
        ("tenants_tenant_features", theirs.tenant, {"feature": "call-recording"}),
        ("tenants_tenant_members", theirs.tenant, {"person": "admin", "role": "owner"}),
        ("calls_message_read", theirs.message, {}),
    ]
    for name, row, data in posts:
        assert client.post(reverse(f"admin:{name}", args=[row.pk]), data).status_code == 404, name
    with tenant_scope(theirs.tenant):
        assert not theirs.call.commands.exists()
        assert Call.objects.count() == 1
        assert not Membership.objects.exists()
    theirs.tenant.refresh_from_db()
    assert theirs.tenant.status == Tenant.Status.TRIAL


def test_people_of_other_tenants_are_not_shown(
    staff: Callable[..., Client], make_member: Callable[..., Membership], house: House, foreign: House
) -> None:
    stranger = make_member(foreign.tenant, username="stranger").user
    colleague = make_member(house.tenant, username="colleague").user
    client = staff(house.tenant, "view_user", "change_user")
    page = client.get(reverse("admin:tenants_user_changelist")).content.decode()
    assert "colleague" in page
    assert "stranger" not in page
    assert client.get(reverse("admin:tenants_user_change", args=[stranger.pk])).status_code == 404
    escalate = client.post(
        reverse("admin:tenants_user_change", args=[colleague.pk]), {"username": "colleague", "is_superuser": "on"}
    )
    colleague.refresh_from_db()
    assert escalate.status_code == 403
    assert not colleague.is_superuser
