"""The sidebar, ordered by the work staff do, and what every page's header shows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from tenants.staff import staff_scope
from voiceplatform.admin.feature_access import SWITCH

Entry = tuple[str, str, str, str]  # title, icon, URL name, permission

GROUPS: list[tuple[str, list[Entry]]] = [
    (
        "Conversations",
        [
            ("Calls", "call", "admin:calls_call_changelist", "calls.view_call"),
            ("Recordings", "graphic_eq", "admin:calls_recording_changelist", "calls.view_recording"),
            ("Messages", "inbox", "admin:calls_message_changelist", "calls.view_message"),
            ("Agents", "support_agent", "admin:agents_agent_changelist", "agents.view_agent"),
            ("Transfer targets", "phone_forwarded", "admin:agents_transfertarget_changelist", "agents.view_transfertarget"),
        ],
    ),
    (
        "People",
        [
            ("Leads", "contacts", "admin:calls_lead_changelist", "calls.view_lead"),
            ("Do not call", "phone_disabled", "admin:calls_suppression_changelist", "calls.view_suppression"),
            ("Calling windows", "schedule", "admin:calls_callingwindow_changelist", "calls.view_callingwindow"),
        ],
    ),
    (
        "Telephone",
        [
            ("Numbers", "dialpad", "admin:calls_phonenumber_changelist", "calls.view_phonenumber"),
            ("Trunks", "lan", "admin:calls_siptrunk_changelist", "calls.view_siptrunk"),
            ("Carrier accounts", "sim_card", "admin:calls_carrieraccount_changelist", "calls.view_carrieraccount"),
        ],
    ),
    (
        "Customers",
        [
            ("Tenants", "apartment", "admin:tenants_tenant_changelist", "tenants.view_tenant"),
            ("Features", "toggle_on", "feature-matrix", SWITCH),
            ("Plans", "inventory_2", "admin:tenants_plan_changelist", "tenants.view_plan"),
            ("People", "group", "admin:tenants_user_changelist", "tenants.view_user"),
        ],
    ),
    (
        "API",
        [
            ("API keys", "key", "admin:tenants_apikey_changelist", "tenants.view_apikey"),
            ("API requests", "receipt_long", "admin:tenants_requestlog_changelist", "tenants.view_requestlog"),
            ("Webhooks", "webhook", "admin:integrations_webhookendpoint_changelist", "integrations.view_webhookendpoint"),
            ("Sent events", "send", "admin:integrations_webhookdelivery_changelist", "integrations.view_webhookdelivery"),
        ],
    ),
    (
        "Money",
        [
            ("Usage", "data_usage", "admin:tenants_usagerecord_changelist", "tenants.view_usagerecord"),
            ("Rates", "sell", "admin:tenants_defaultrate_changelist", "tenants.view_defaultrate"),
            ("Tenants' rates", "loyalty", "admin:tenants_tenantrate_changelist", "tenants.view_tenantrate"),
            ("Daily figures", "bar_chart", "admin:analytics_dailyrollup_changelist", "analytics.view_dailyrollup"),
        ],
    ),
    (
        "Operations",
        [
            ("Worker hosts", "dns", "admin:calls_workerhost_changelist", "calls.view_workerhost"),
            ("LiveKit events", "cell_tower", "admin:calls_providerevent_changelist", "calls.view_providerevent"),
            ("Jobs", "pending_actions", "admin:tenants_job_changelist", "tenants.view_job"),
            ("Outbox", "outbox", "admin:tenants_outboxdelivery_changelist", "tenants.view_outboxdelivery"),
            ("Audit", "policy", "admin:tenants_auditevent_changelist", "tenants.view_auditevent"),
        ],
    ),
]


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    overview = {"title": "", "items": [{"title": "Dashboard", "icon": "space_dashboard", "link": reverse("admin:index")}]}
    return [overview, *(group for title, entries in GROUPS if (group := _group(request, title, entries))["items"])]


def _group(request: HttpRequest, title: str, entries: list[Entry]) -> dict[str, Any]:
    items = [
        {"title": name, "icon": icon, "link": reverse(url)}
        for name, icon, url, permission in entries
        if _may(request, permission)
    ]
    return {"title": title, "items": items, "separator": True}


def _may(request: HttpRequest, permission: str) -> bool:
    allowed: bool = request.user.has_perm(permission)
    return allowed


def environment(_request: HttpRequest) -> tuple[str, str]:
    """The badge that keeps people from doing it in production."""
    name = settings.VP_ENVIRONMENT
    return name, {"production": "danger", "staging": "warning"}.get(name, "info")


def page_context(request: HttpRequest) -> dict[str, Any]:
    """Whose rows are in view, and the list that is open by the name the sidebar gives it."""
    entries = (entry for _, entries in GROUPS for entry in entries)
    list_name = next((name for name, _, url, _ in entries if request.path.startswith(reverse(url))), "")
    return {"staff_scope": staff_scope(request), "list_name": list_name}
