"""Features of one tenant: its plan, and each feature as a form drawn from its schema, with effect, reason and history."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from unfold.widgets import UnfoldAdminSelectWidget

from tenants.admin.forms import ReasonForm, console_form
from tenants.errors import InvalidFeatureConfigError
from tenants.features import FEATURES, FeatureSpec, FeatureState, feature_state
from tenants.models import Plan, Tenant, TenantFeature
from tenants.services.feature_bulk import Switch
from tenants.services.features import choice_of, follow_plan, set_feature
from tenants.services.plans import choose_plan, plan_changes
from tenants.staff import staff_scope, staff_user
from voiceplatform.admin.feature_access import SWITCH
from voiceplatform.admin.feature_effects import Change, Effect, Reach, effects_of, reach_of
from voiceplatform.admin.feature_history import history_of_tenant

if TYPE_CHECKING:
    from voiceplatform.admin.tenant_page import TenantAdmin

NOTHING = "Nothing changes for agents and calls."


class PlanForm(ReasonForm):
    """Which plan, and why."""

    plan = forms.ModelChoiceField(
        queryset=Plan.objects.none(),
        required=False,
        empty_label="No plan",
        widget=UnfoldAdminSelectWidget,
        help_text="Its features and limits hold wherever the tenant has no choice of its own.",
    )
    field_order = ["plan", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plan = self.fields["plan"]
        assert isinstance(plan, forms.ModelChoiceField)  # noqa: S101 - declared above
        plan.queryset = Plan.objects.all()


@dataclass(frozen=True, slots=True)
class Offer:
    """One way the feature can stand, and what choosing it does."""

    value: str
    label: str
    effect: str
    checked: bool


def features_page(admin: "TenantAdmin", request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    sent = request.POST.get("feature", "") if request.method == "POST" else ""
    if request.method == "POST" and not admin.has_change_permission(request, tenant):
        raise PermissionDenied
    if request.method == "POST" and not sent:
        return _plan_post(admin, request, tenant)
    rows = list(_rows(request, tenant, sent))
    for row in rows:
        if row["sent"] and _save(request, row):
            messages.success(request, f"Saved {row['spec'].label} for {tenant.name}; live calls follow within seconds.")
            return redirect(f"{admin.row_url('features', tenant)}#{row['key']}")
    return _page(admin, request, tenant, rows=rows)


def _page(admin: "TenantAdmin", request: HttpRequest, tenant: Tenant, **context: Any) -> HttpResponseBase:
    may_plan = _may_choose_plan(admin, request, tenant)
    shared = {
        "may_choose_plan": may_plan,
        "may_see_matrix": request.user.has_perm(SWITCH),
        "plan_form": PlanForm(initial={"plan": tenant.plan_id}, prefix="plan") if may_plan else None,
    }
    return admin.tenant_page(request, tenant, tab="features", **(shared | context))


def _rows(request: HttpRequest, tenant: Tenant, sent: str) -> Iterator[dict[str, Any]]:
    chosen = {row.feature_key: row for row in TenantFeature.objects.all()}
    planned = tenant.plan.features if tenant.plan else {}
    reach, history = reach_of([tenant.pk], FEATURES), history_of_tenant()
    for key, spec in FEATURES.items():
        own = choice_of(chosen.get(key))
        state = feature_state(spec, override=own, planned=planned.get(key))
        without = feature_state(spec, override=None, planned=planned.get(key))
        is_sent = sent == key
        to = request.POST.get("choice", "") if is_sent else Switch.PLAN if own is None else _switch(own["enabled"])
        yield {
            "key": key,
            "spec": spec,
            "state": state,
            "sent": is_sent,
            "to": to,
            "offers": list(_offers(tenant, spec, state, without, reach, to)),
            "form": console_form(spec.schema)(request.POST if is_sent else None, initial=state.config, prefix=key),
            "reason": ReasonForm(request.POST if is_sent else None, prefix=f"{key}-why"),
            "history": history[key],
        }


def _offers(
    tenant: Tenant, spec: FeatureSpec, state: FeatureState, without: FeatureState, reach: Reach, to: str
) -> Iterator[Offer]:
    whose = f"the plan {tenant.plan.name}" if tenant.plan and without.source == "plan" else "the platform's default"
    labels = {Switch.ON: "On", Switch.OFF: "Off", Switch.PLAN: f"As in {whose}: {'on' if without.enabled else 'off'}"}
    for choice, label in labels.items():
        after = without.enabled if choice is Switch.PLAN else choice is Switch.ON
        effects = effects_of([Change(tenant.pk, spec.key, before=state.enabled, after=after)], reach)
        effect = effects[0].sentence if effects else NOTHING
        yield Offer(value=choice.value, label=label, effect=effect, checked=choice == to)


def _save(request: HttpRequest, row: dict[str, Any]) -> bool:
    form, reason = row["form"], row["reason"]
    if row["to"] not in [choice.value for choice in Switch]:
        form.is_valid()
        form.add_error(None, "Choose on, off or as in the plan.")
        return False
    if not reason.is_valid() or (row["to"] != Switch.PLAN and not form.is_valid()):
        return False
    who = {"actor": staff_user(request), "reason": reason.cleaned_data["reason"]}
    try:
        if row["to"] == Switch.PLAN:
            follow_plan(key=row["key"], **who)
        else:
            set_feature(key=row["key"], enabled=row["to"] == Switch.ON, config=form.to_data(), **who)
    except InvalidFeatureConfigError as refused:
        form.add_schema_errors(refused.errors)
        return False
    return True


def _plan_post(admin: "TenantAdmin", request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    """First what the other plan does, then, with `confirm`, the change itself."""
    if not _may_choose_plan(admin, request, tenant):
        raise PermissionDenied
    form = PlanForm(request.POST, prefix="plan")
    if not form.is_valid():
        return _page(admin, request, tenant, rows=list(_rows(request, tenant, "")), plan_form=form)
    plan, reason = form.cleaned_data["plan"], form.cleaned_data["reason"]
    if "confirm" not in request.POST:
        effects = _plan_effects(tenant, plan)
        rows = list(_rows(request, tenant, ""))
        return _page(admin, request, tenant, rows=rows, plan_form=form, new_plan=plan, asks_plan=True, effects=effects)
    if choose_plan(plan=plan, actor=staff_user(request), reason=reason):
        messages.success(request, f"{tenant.name} is on {plan or 'no plan'} now; live calls follow within seconds.")
    else:
        messages.info(request, f"{tenant.name} is on {plan or 'no plan'} already.")
    return redirect(admin.row_url("features", tenant))


def _plan_effects(tenant: Tenant, plan: Plan | None) -> list[Effect]:
    changes = [
        Change(tenant.pk, key, before=before.enabled, after=after.enabled)
        for key, before, after in plan_changes(tenant=tenant, plan=plan)
    ]
    return effects_of(changes, reach_of([tenant.pk], FEATURES))


def _may_choose_plan(admin: "TenantAdmin", request: HttpRequest, tenant: Tenant) -> bool:
    """What a tenant is sold is decided by those who see every tenant."""
    scope = staff_scope(request)
    return scope is not None and scope.sees_all and admin.has_change_permission(request, tenant)


def _switch(enabled: bool) -> Switch:
    return Switch.ON if enabled else Switch.OFF
