"""Plans: what they are called, their limits, and how each feature stands in them."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern

from tenants.admin.base import ConsoleAdmin, Tab
from tenants.admin.forms import ReasonForm, console_form
from tenants.display import moment
from tenants.errors import InvalidFeatureConfigError
from tenants.features import FEATURES, FeatureSpec, feature_state
from tenants.models import Plan, Tenant, TenantFeature
from tenants.services.plans import set_plan_feature
from tenants.staff import staff_scope, staff_user
from voiceplatform.admin.feature_effects import Change, Effect, effects_of, reach_of

CHOICES = {"on": "On", "off": "Off", "default": "Left to the platform's default"}
NAMES = [("change", "General and limits"), ("features", "Features")]


@admin.register(Plan)
class PlanAdmin(ConsoleAdmin):
    """Plans concern many tenants, so they are changed by those who see all of them, while all are in view."""

    list_display = ["name", "description", "included", "max_open_calls", "api_requests_per_minute", "changed"]
    search_fields = ["name"]
    search_help_text = "Name"
    fields = [
        "name", "description", "max_open_calls", "api_requests_per_minute", "calls_per_phone_day", "calls_per_phone_week",
    ]  # fmt: skip
    change_form_outer_before_template = "admin/tenants/plan/head.html"
    empty_title = "No plans yet"
    empty_hint = (
        "A plan is a bundle of features and limits. Without one, tenants have the platform's defaults and choices of their own. "
        "Add a plan, set its features, then choose it on a tenant's features page."
    )

    @admin.display(description="features on")
    def included(self, plan: Plan) -> str:
        states = {
            spec.label: feature_state(spec, override=None, planned=plan.features.get(key)) for key, spec in FEATURES.items()
        }
        return ", ".join(label for label, state in states.items() if state.enabled) or "none"

    @admin.display(description="changed", ordering="updated_at")
    def changed(self, plan: Plan) -> str:
        return moment(plan.updated_at)

    def may_add(self, request: HttpRequest) -> bool:
        return _sees_everybody(request) and super().may_add(request)

    def has_change_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and _sees_everybody(request)

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        """Only a plan that nobody is on; the database keeps the others."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and _sees_everybody(request)

    def get_urls(self) -> list[URLPattern]:
        return [self.row_path("features/", self.features_view, "features"), *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        plan = self.get_object(request, object_id) if object_id else None
        context = {"tabs": self._tabs(plan, "change")} if plan else {}
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **context})

    def features_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Each feature of the plan: on, off or left out; first what that does, then, with `confirm`, the change."""
        plan: Plan = self.row_or_404(request, object_id)
        if not self.has_view_or_change_permission(request, plan):
            raise PermissionDenied
        if request.method == "POST" and not self.has_change_permission(request, plan):
            raise PermissionDenied
        rows = [_row(request, plan, spec) for spec in FEATURES.values()]
        for row in rows:
            if row["sent"] and _is_valid(row):
                if "confirm" not in request.POST:
                    row["asks"], row["effects"] = True, _effects(plan, row)
                elif _save(request, plan, row):
                    return redirect(f"{self.row_url('features', plan)}#{row['key']}")
        may_change = self.has_change_permission(request, plan)
        context: dict[str, Any] = {"rows": rows, "plan": plan, "tabs": self._tabs(plan, "features"), "may_change": may_change}
        return self.page(request, "admin/tenants/plan/features.html", row=plan, **context)

    def _tabs(self, plan: Plan, current: str) -> list[Tab]:
        return [Tab(title, self.row_url(name, plan), name == current) for name, title in NAMES]


def _row(request: HttpRequest, plan: Plan, spec: FeatureSpec) -> dict[str, Any]:
    stored = plan.features.get(spec.key)
    sent = request.method == "POST" and request.POST.get("feature") == spec.key
    now = "default" if stored is None else "on" if stored["enabled"] else "off"
    to = request.POST.get("choice", "") if sent else now
    state = feature_state(spec, override=None, planned=stored)
    return {
        "key": spec.key,
        "spec": spec,
        "state": state,
        "sent": sent,
        "to": to,
        "offers": [{"value": value, "label": label, "checked": value == to} for value, label in CHOICES.items()],
        "form": console_form(spec.schema)(request.POST if sent else None, initial=state.config, prefix=spec.key),
        "reason": ReasonForm(request.POST if sent else None, prefix=f"{spec.key}-why"),
    }


def _is_valid(row: dict[str, Any]) -> bool:
    form = row["form"]
    if row["to"] not in CHOICES:
        form.is_valid()
        form.add_error(None, "Choose on, off or the platform's default.")
        return False
    return bool(row["reason"].is_valid() and (row["to"] == "default" or form.is_valid()))


def _choice(row: dict[str, Any]) -> dict[str, Any] | None:
    return None if row["to"] == "default" else {"enabled": row["to"] == "on", "config": row["form"].to_data()}


def _effects(plan: Plan, row: dict[str, Any]) -> list[Effect]:
    return effects_of(changes := list(_changes(plan, row)), reach_of([change.tenant_id for change in changes], {row["key"]}))


def _changes(plan: Plan, row: dict[str, Any]) -> Iterator[Change]:
    """Those on the plan without a choice of their own."""
    spec, choice = row["spec"], _choice(row)
    before, after = (feature_state(spec, override=None, planned=planned) for planned in (plan.features.get(spec.key), choice))
    own = TenantFeature.objects.filter(feature_key=spec.key).order_by().values("tenant")
    for tenant_id in Tenant.objects.filter(plan=plan).exclude(pk__in=own).values_list("pk", flat=True):
        yield Change(tenant_id, spec.key, before=before.enabled, after=after.enabled)


def _save(request: HttpRequest, plan: Plan, row: dict[str, Any]) -> bool:
    why = row["reason"].cleaned_data["reason"]
    try:
        changed = set_plan_feature(plan=plan, key=row["key"], choice=_choice(row), actor=staff_user(request), reason=why)
    except InvalidFeatureConfigError as refused:
        row["form"].add_schema_errors(refused.errors)
        return False
    tenants = "1 tenant has" if changed == 1 else f"{changed:,} tenants have"
    messages.success(request, f"Saved {row['spec'].label} in {plan.name}: {tenants} it differently now.")
    return True


def _sees_everybody(request: HttpRequest) -> bool:
    scope = staff_scope(request)
    return scope is not None and scope.sees_all and scope.tenant is None
