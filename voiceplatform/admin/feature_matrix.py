"""Tenants × features: how each stands and why, and switching many at once after a look at what that does."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from tenants.admin.forms import ReasonForm
from tenants.features import FEATURES, FeatureSpec, FeatureState, feature_state
from tenants.models import Plan, Tenant, TenantFeature
from tenants.services.feature_bulk import Switch, switch_features
from tenants.services.features import choice_of
from tenants.staff import staff_user
from voiceplatform.admin.feature_access import SWITCH, tenants_in_view
from voiceplatform.admin.feature_effects import Change, effects_of, reach_of
from voiceplatform.admin.paging import list_page

PER_PAGE = 50
NO_PLAN = "none"
MANY = 500
Cells = Mapping[UUID, Collection[str]]  # tenant → features


class MatrixFilter(forms.Form):
    """Which tenants are shown."""

    q = forms.CharField(
        label="Tenant",
        required=False,
        max_length=120,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Part of the name"}),
    )
    plan = forms.ChoiceField(label="Plan", required=False, widget=UnfoldAdminSelectWidget)
    agency = forms.ChoiceField(label="Agency", required=False, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, tenants: QuerySet[Tenant], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tenants = tenants
        plans = [(str(pk), name) for pk, name in Plan.objects.values_list("pk", "name")[:MANY]]
        mine = tenants.exclude(agency=None).order_by().values("agency")
        agencies = [(str(pk), name) for pk, name in Tenant.objects.filter(pk__in=mine).values_list("pk", "name")[:MANY]]
        self._offer("plan", [("", "Any plan"), (NO_PLAN, "Without a plan"), *plans])
        self._offer("agency", [("", "Any agency"), (NO_PLAN, "Without an agency"), *agencies])

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = choices

    def tenants(self) -> QuerySet[Tenant]:
        """Those that fit; a filter that does not exist matches nobody."""
        if not self.is_valid():
            return self._tenants.none()
        fits = Q(name__icontains=self.cleaned_data["q"]) if self.cleaned_data["q"] else Q()
        for name in ("plan", "agency"):
            if wanted := self.cleaned_data[name]:
                fits &= Q(**{name: None if wanted == NO_PLAN else wanted})
        return self._tenants.filter(fits).select_related("plan", "agency").order_by("name", "pk")


class SwitchForm(ReasonForm):
    """What becomes of the chosen cells, and why."""

    to = forms.ChoiceField(
        label="Switch them",
        choices=[(Switch.ON.value, "On"), (Switch.OFF.value, "Off"), (Switch.PLAN.value, "Back to the plan")],
        widget=UnfoldAdminSelectWidget,
        help_text="Back to the plan removes a tenant's own choice; without a plan the platform's default holds.",
    )
    field_order = ["to", "reason"]


@dataclass(frozen=True, slots=True)
class Cell:
    key: str
    value: str  # what the form sends
    state: FeatureState
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    tenant: Tenant
    url: str
    cells: list[Cell]


@require_http_methods(["GET", "POST"])
def feature_matrix(request: HttpRequest) -> HttpResponseBase:
    """GET shows, POST tells what a switch does, and with `confirm` does it."""
    if not request.user.has_perm(SWITCH):
        raise PermissionDenied
    form = SwitchForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        cells = _sent_cells(request)
        if not cells:
            messages.error(request, "Nothing was changed: choose at least one cell of a tenant in view.")
            return redirect(_here(request))
        if form.is_valid():
            return _confirmed(request, form, cells) if "confirm" in request.POST else _preview(request, form, cells)
        return _matrix(request, form, chosen=cells)
    return _matrix(request, form, chosen={})


def _matrix(request: HttpRequest, form: SwitchForm, *, chosen: Cells) -> HttpResponseBase:
    shown = MatrixFilter(request.GET, tenants=tenants_in_view(request))
    page = list_page(request, shown.tenants(), size=PER_PAGE)
    states = _states(page.rows)
    rows = [Row(tenant, _features_url(tenant), _cells(tenant, states[tenant.pk])) for tenant in page.rows]
    context = {
        "title": "Features",
        "specs": list(FEATURES.values()),
        "filter": shown,
        "form": form,
        "rows": rows,
        "list_page": page,
        "chosen": {f"{tenant}:{key}" for tenant, keys in chosen.items() for key in keys},
        "is_filtered": any(request.GET.get(name) for name in ("q", "plan", "agency")),
    }
    return _page(request, "admin/console/feature_matrix.html", context)


def _preview(request: HttpRequest, form: SwitchForm, cells: Cells) -> HttpResponseBase:
    to = Switch(form.cleaned_data["to"])
    tenants = list(tenants_in_view(request).filter(pk__in=cells).select_related("plan"))
    states = _states(tenants)
    changes = [
        Change(tenant.pk, key, before=states[tenant.pk][key].enabled, after=_after(tenant, states, FEATURES[key], to))
        for tenant in tenants
        for key in cells[tenant.pk]
    ]
    context = {
        "title": "Before you switch",
        "effects": effects_of(changes, reach_of([tenant.pk for tenant in tenants], {change.key for change in changes})),
        "unchanged": sum(change.before == change.after for change in changes),
        "tenants": tenants,
        "cells": [f"{tenant}:{key}" for tenant, keys in cells.items() for key in keys],
        "to": to.value,
        "to_words": dict(SwitchForm.base_fields["to"].choices)[to.value],  # type: ignore[attr-defined]
        "reason": form.cleaned_data["reason"],
        "back_url": _here(request),
    }
    return _page(request, "admin/console/feature_preview.html", context)


def _after(tenant: Tenant, states: Mapping[UUID, Mapping[str, FeatureState]], spec: FeatureSpec, to: Switch) -> bool:
    if to is Switch.PLAN:
        return feature_state(spec, override=None, planned=_planned(tenant).get(spec.key)).enabled
    return to is Switch.ON


def _confirmed(request: HttpRequest, form: SwitchForm, cells: Cells) -> HttpResponseBase:
    to, reason = Switch(form.cleaned_data["to"]), form.cleaned_data["reason"]
    outcome = switch_features(wanted=cells, to=to, actor=staff_user(request), reason=reason)
    if outcome.done:
        tenants = "1 tenant" if outcome.done == 1 else f"{outcome.done:,} tenants"
        messages.success(request, f"Done for {tenants}; live calls follow within seconds.")
    names = dict(Tenant.objects.filter(pk__in=outcome.refused).values_list("pk", "name"))
    for tenant_id, why in outcome.refused.items():
        messages.error(request, f"{names[tenant_id]}: nothing was changed. {why}. Correct its settings on its page first.")
    return redirect(_here(request))


def _sent_cells(request: HttpRequest) -> dict[UUID, set[str]]:
    """The chosen cells of tenants in view; whatever else was sent is left out."""
    sent: dict[UUID, set[str]] = defaultdict(set)
    for value in request.POST.getlist("cell"):
        tenant, _, key = value.partition(":")
        if key in FEATURES and (tenant_id := _uuid(tenant)):
            sent[tenant_id].add(key)
    return {tenant_id: sent[tenant_id] for tenant_id in tenants_in_view(request).filter(pk__in=sent).values_list("pk", flat=True)}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _states(tenants: Collection[Tenant]) -> dict[UUID, dict[str, FeatureState]]:
    """How every feature stands for each of these tenants, which come with their plans; one query."""
    own: dict[UUID, dict[str, TenantFeature]] = defaultdict(dict)
    for row in TenantFeature.objects.filter(tenant__in=tenants, feature_key__in=FEATURES):
        own[row.tenant_id][row.feature_key] = row
    return {
        tenant.pk: {
            key: feature_state(spec, override=choice_of(own[tenant.pk].get(key)), planned=_planned(tenant).get(key))
            for key, spec in FEATURES.items()
        }
        for tenant in tenants
    }


def _planned(tenant: Tenant) -> Mapping[str, Any]:
    return tenant.plan.features if tenant.plan else {}


def _cells(tenant: Tenant, states: Mapping[str, FeatureState]) -> list[Cell]:
    return [Cell(key, f"{tenant.pk}:{key}", state, f"{FEATURES[key].label} of {tenant.name}") for key, state in states.items()]


def _features_url(tenant: Tenant) -> str:
    return reverse("admin:tenants_tenant_features", args=[tenant.pk])


def _here(request: HttpRequest) -> str:
    """The same page with the same filters."""
    kept = [(name, request.GET[name]) for name in ("q", "plan", "agency", "page") if name in request.GET]
    return f"{reverse('feature-matrix')}?{urlencode(kept)}" if kept else reverse("feature-matrix")


def _page(request: HttpRequest, template: str, context: Mapping[str, Any]) -> TemplateResponse:
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context})
