"""Every form of the console, taken from its registry: choices are the row's tenant's own, a foreign one is an error."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.db.models import Model
from django.http import HttpRequest
from django.test import RequestFactory

from agents.models import AgentVersion, ToolGrant
from tenants.admin.base import ConsoleAdmin
from tenants.models import Membership, Tenant, TenantModel, User
from tenants.scope import all_tenants, tenant_scope
from tenants.staff import StaffScope, remember_scope
from tests.admin.conftest import House

PAGES: list[ModelAdmin] = sorted(admin.site._registry.values(), key=lambda page: page.opts.label)
NOBODYS = "01a20bc1-ba2a-7466-9e8f-4208e7f3e376"


class Sample(ConsoleAdmin):
    """A form with a choice of another tenant-owned row, so that the check has something to look at."""


class Leaky(ConsoleAdmin):
    """What nobody may write: choices from everybody's rows."""

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        manager = getattr(db_field.related_model, "all_objects", None)
        return super().formfield_for_foreignkey(db_field, request, **kwargs | ({"queryset": manager.all()} if manager else {}))


def asked_by(user: User, scope: StaffScope) -> HttpRequest:
    request = RequestFactory().get("/admin/")
    request.user = user
    remember_scope(request, scope)
    return request


def forms_of(page: ModelAdmin, request: HttpRequest) -> Iterator[tuple[type[Any], Model | None]]:
    """The form of a new row, where one is added with it, that of a row there is, and those of their inlines."""
    row = page.get_queryset(request).first()
    adds = page.has_add_permission(request) and type(page).add_view is ModelAdmin.add_view
    for one in [None] * adds + [row] * (row is not None):
        yield page.get_form(request, one, change=one is not None), one
        for inline in page.get_inline_instances(request, one):
            yield inline.get_formset(request, one).form, None


def foreign_choices(page: ModelAdmin, request: HttpRequest, mine: Tenant, *, owners: tuple[type[Model], ...]) -> list[str]:
    """Fields that offer or accept rows of others: tenant-owned ones, and those of the models in `owners`."""
    leaks = []
    for form, row in forms_of(page, request):
        for name, field in form.base_fields.items():
            if not (isinstance(field, forms.ModelChoiceField) and issubclass(field.queryset.model, (TenantModel, *owners))):
                continue
            theirs = _theirs(field.queryset.model, mine)
            bound = form(data={name: theirs}, **({"instance": row} if row else {}))
            offered = {str(pk) for pk in field.queryset.values_list("pk", flat=True)}
            if theirs in offered or name not in bound.errors:
                leaks.append(f"{page.opts.label}: {form.__name__}.{name}")
    return leaks


def _theirs(model: type[Model], mine: Tenant) -> str:
    if model is Tenant:
        return str(Tenant.objects.exclude(pk=mine.pk).values_list("pk", flat=True)[0])
    found = getattr(model, "all_objects", model._default_manager).exclude(tenant=mine).first()
    return str(found.pk) if found else NOBODYS


@pytest.fixture
def agency_view(make_user: Callable[..., User], house: House, foreign: House) -> Iterator[HttpRequest]:
    """Somebody who sees all tenants, on a page of a row of `house`."""
    with all_tenants(), tenant_scope(house.tenant):
        yield asked_by(make_user(is_staff=True, is_superuser=True), StaffScope(tenant=None, member_of=None))


@pytest.mark.parametrize("page", [*PAGES, Sample(ToolGrant, admin.site)], ids=lambda page: page.opts.label)
def test_forms_offer_and_accept_only_the_tenants_own_rows(agency_view: HttpRequest, house: House, page: ModelAdmin) -> None:
    assert foreign_choices(page, agency_view, house.tenant, owners=()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.opts.label)
def test_members_are_offered_no_other_tenant(
    make_member: Callable[..., Membership], house: House, foreign: House, page: ModelAdmin
) -> None:
    user = make_member(house.tenant, is_staff=True).user
    User.objects.filter(pk=user.pk).update(is_superuser=True)  # every permission, and yet a member's view
    scope = StaffScope(tenant=house.tenant, member_of=frozenset({house.tenant.pk}))
    with tenant_scope(house.tenant):
        request = asked_by(User.objects.get(pk=user.pk), scope)
        assert foreign_choices(page, request, house.tenant, owners=(Tenant,)) == []


def test_the_check_finds_a_form_that_leaks(agency_view: HttpRequest, house: House) -> None:
    assert foreign_choices(Leaky(ToolGrant, admin.site), agency_view, house.tenant, owners=()) != []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.opts.label)
def test_what_autocompletion_searches_is_the_tenants_own(agency_view: HttpRequest, house: House, page: ModelAdmin) -> None:
    """Also where no field of a form completes yet."""
    assert page.raw_id_fields == ()
    if not issubclass(page.model, TenantModel):
        return
    found, _ = page.get_search_results(agency_view, page.get_queryset(agency_view), "")
    assert set(found.values_list("tenant_id", flat=True)) <= {house.tenant.pk}


def test_the_sample_has_a_choice_to_look_at(agency_view: HttpRequest, house: House) -> None:
    [(form, row)] = [(form, row) for form, row in forms_of(Sample(ToolGrant, admin.site), agency_view) if row]
    assert form.base_fields["version"].queryset.model is AgentVersion
    assert row.tenant_id == house.tenant.pk
