"""Who changed features of tenants, when, from what to what, and why."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from tenants.features import FEATURES
from tenants.models import AuditEvent, Tenant, User
from voiceplatform.admin.feature_access import SWITCH
from voiceplatform.admin.paging import list_page

ACTION = "feature.changed"
PER_TENANT = 60
PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Entry:
    at: datetime
    tenant: Tenant
    by: str
    key: str
    was: bool | None  # None where only its settings changed
    is_on: bool | None
    settings: str
    source: str
    reason: str


def history_of_tenant() -> dict[str, list[Entry]]:
    """The newest changes of the tenant in scope, by feature; two queries."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in _entries(_events()[:PER_TENANT]):
        found[entry.key].append(entry)
    return found


@require_safe
def history_page(request: HttpRequest, key: str) -> HttpResponseBase:
    """One feature's changes for the tenants in view, the newest first."""
    if not request.user.has_perm(SWITCH):
        raise PermissionDenied
    if key not in FEATURES:
        raise Http404(f"There is no feature {key!r}.")
    spec, page = FEATURES[key], list_page(request, _events().filter(data__feature=key), size=PER_PAGE)
    context = {"spec": spec, "entries": _entries(page.rows), "list_page": page, "title": f"{spec.label}: history"}
    return TemplateResponse(request, "admin/console/feature_history.html", {**admin.site.each_context(request), **context})


def _events() -> QuerySet[AuditEvent]:
    events: QuerySet[AuditEvent] = AuditEvent.objects.filter(action=ACTION).select_related("tenant").order_by("-at", "-id")
    return events


def _entries(events: Iterable[AuditEvent]) -> list[Entry]:
    rows = list(events)
    names = dict(User.objects.filter(pk__in={event.actor_id for event in rows}).values_list("pk", "username"))
    return [_entry(event, names) for event in rows]


def _entry(event: AuditEvent, names: dict[Any, str]) -> Entry:
    nobody = "a program" if event.api_key_id else "the platform"
    by = names.get(event.actor_id, "a person since removed") if event.actor_id else nobody
    switched = "enabled" in event.fields
    is_on = event.data.get("to", event.data.get("enabled")) if switched else None
    return Entry(
        at=event.at,
        tenant=event.tenant,
        by=by,
        key=event.data.get("feature", ""),
        was=event.data.get("from", not is_on) if switched else None,
        is_on=is_on,
        settings=", ".join(name.removeprefix("config.").replace("_", " ") for name in event.fields if name != "enabled"),
        source={"plan": "as in the plan", "default": "by default"}.get(event.data.get("source", ""), ""),
        reason=event.reason,
    )
