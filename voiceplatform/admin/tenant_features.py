"""Features of one tenant: each a form drawn from its schema, with a reason and its history."""

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from tenants.admin.forms import ReasonForm, console_form
from tenants.errors import InvalidFeatureConfigError
from tenants.features import FEATURES, FeatureSpec
from tenants.models import AuditEvent, Tenant, TenantFeature, User
from tenants.services.features import set_feature
from tenants.staff import staff_user

if TYPE_CHECKING:
    from voiceplatform.admin.tenant_page import TenantAdmin

HISTORY = 60


def features_page(admin: "TenantAdmin", request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    chosen = {row.feature_key: row for row in TenantFeature.objects.all()}
    sent = request.POST.get("feature", "") if request.method == "POST" else ""
    if sent and not admin.has_change_permission(request, tenant):
        raise PermissionDenied
    history = _history()
    rows = [_row(request, spec, chosen.get(key), sent=sent == key) for key, spec in FEATURES.items()]
    for row in rows:
        row["history"] = history[row["key"]]
        if row["sent"] and _save(request, row):
            state = "on" if row["on"] else "off"
            messages.success(request, f"{row['spec'].label} is {state} for {tenant.name}; live calls follow within seconds.")
            return redirect(f"{admin.row_url('features', tenant)}#{row['key']}")
    return admin.tenant_page(request, tenant, tab="features", rows=rows)


def _row(request: HttpRequest, spec: FeatureSpec, stored: TenantFeature | None, *, sent: bool) -> dict[str, Any]:
    form_class = console_form(spec.schema)
    config = stored.config if stored else {}
    return {
        "key": spec.key,
        "spec": spec,
        "stored": stored,
        "sent": sent,
        "on": request.POST.get("enabled") == "on" if sent else stored.enabled if stored else spec.default_enabled,
        "form": form_class(request.POST if sent else None, initial=config, prefix=spec.key),
        "reason": ReasonForm(request.POST if sent else None, prefix=f"{spec.key}-why"),
    }


def _save(request: HttpRequest, row: dict[str, Any]) -> bool:
    form, reason = row["form"], row["reason"]
    if not (form.is_valid() and reason.is_valid()):
        return False
    why = reason.cleaned_data["reason"]
    try:
        set_feature(key=row["key"], enabled=row["on"], config=form.to_data(), actor=staff_user(request), reason=why)
    except InvalidFeatureConfigError as refused:
        form.add_schema_errors(refused.errors)
        return False
    return True


def _history() -> dict[str, list[dict[str, Any]]]:
    events = list(AuditEvent.objects.filter(target_type="tenants.tenantfeature").order_by("-at")[:HISTORY])
    names = dict(User.objects.filter(pk__in={event.actor_id for event in events}).values_list("pk", "username"))
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        by = names.get(event.actor_id, "a person since removed") if event.actor_id else "the platform"
        found[event.data.get("feature", "")].append({"event": event, "by": by})
    return found
