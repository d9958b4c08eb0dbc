"""Where customers' events go, and what became of each."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter

from integrations.errors import IntegrationsError
from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.services import deliveries, endpoints
from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.admin.forms import ReasonForm
from tenants.display import EMPTY, badge, moment
from tenants.models import Job
from tenants.staff import staff_user

DELIVERY_TONES: Final = {"pending": "info", "done": "success", "dead": "danger"}
MAY_CHANGE: Final = "integrations.change_webhookendpoint"

# Each does one thing to an endpoint for a member of staff who says why, and says what it did.
ACTIONS: Final[Mapping[str, Callable[..., object]]] = {
    "test": deliveries.send_test,
    "enable": endpoints.enable_endpoint,
    "disable": endpoints.disable_endpoint,
    "rotate": endpoints.rotate_secret,
}
# How many hours a replay goes back.
SPANS: Final = {"1": "the last hour", "24": "the last 24 hours", "168": "the last 7 days", "719": "the last 30 days"}
DONE: Final = {
    "test": "A test event is on its way; see its deliveries.",
    "enable": "Events are sent to it again.",
    "disable": "Nothing more is sent to it.",
    "rotate": "The secret has been rotated.",
}


class WebhookAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    """A record with actions for those who may change endpoints and say why."""

    actions = None

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        offer = {"may_act": request.user.has_perm(MAY_CHANGE), "spans": SPANS.items()}
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **offer})

    def act(self, request: HttpRequest, object_id: str, action: Callable[..., object], row_name: str) -> tuple[Any, object]:
        """The row, and what the action gave; None when it did nothing, and then a message says why."""
        row = self.row_or_404(request, object_id)
        if not (self.has_view_permission(request, row) and request.user.has_perm(MAY_CHANGE)):
            raise PermissionDenied
        form = ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, "Nothing was done: say why, it is kept in the audit.")
            return row, None
        try:
            return row, action(**{row_name: row}, actor=staff_user(request), reason=form.cleaned_data["reason"])
        except IntegrationsError as error:
            messages.error(request, str(error))
            return row, None


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(WebhookAdmin):
    list_display = ["address", "tenant", "state", "takes", "succeeded", "failing"]
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["tenant"]
    ordering = ["-id"]
    search_fields = ["url", "description"]
    search_help_text = "Address or description"
    fields = [
        "tenant", "url", "description", "takes", "state", "disabled", "disabled_reason", "succeeded", "failing", "failures",
        "warned", "rests", "overlap", "created",
    ]  # fmt: skip
    change_form_outer_before_template = "admin/integrations/webhookendpoint/head.html"
    empty_title = "No webhook endpoints yet"
    empty_hint = "Customers add theirs over the API: POST /api/v1/webhook_endpoints."

    @admin.display(description="address", ordering="url")
    def address(self, row: WebhookEndpoint) -> str:
        return row.url[:80]

    @admin.display(description="state", ordering="status")
    def state(self, row: WebhookEndpoint) -> SafeString:
        if row.status == WebhookEndpoint.Status.DISABLED:
            return badge("disabled", "danger", title=row.disabled_reason)
        return badge("failing", "warning") if row.failing_since else badge("enabled", "success")

    @admin.display(description="events")
    def takes(self, row: WebhookEndpoint) -> str:
        return ", ".join(row.event_types) or "all"

    @admin.display(description="last success", ordering="last_success_at")
    def succeeded(self, row: WebhookEndpoint) -> str:
        return moment(row.last_success_at, row.tenant.timezone)

    @admin.display(description="failing since", ordering="failing_since")
    def failing(self, row: WebhookEndpoint) -> str:
        return moment(row.failing_since, row.tenant.timezone)

    @admin.display(description="disabled at", ordering="disabled_at")
    def disabled(self, row: WebhookEndpoint) -> str:
        return moment(row.disabled_at, row.tenant.timezone)

    @admin.display(description="people warned")
    def warned(self, row: WebhookEndpoint) -> str:
        return moment(row.warned_at, row.tenant.timezone)

    @admin.display(description="rests until")
    def rests(self, row: WebhookEndpoint) -> str:
        return moment(row.rests_until, row.tenant.timezone, seconds=True)

    @admin.display(description="old secret signs until")
    def overlap(self, row: WebhookEndpoint) -> str:
        return moment(row.previous_secret_until, row.tenant.timezone)

    @admin.display(description="created")
    def created(self, row: WebhookEndpoint) -> str:
        return moment(row.created_at, row.tenant.timezone)

    def get_urls(self) -> list[URLPattern]:
        replay = self.row_path("replay/", require_POST(self.replay_view), "replay")
        return [replay, *(self.row_path(f"{name}/", self._action(name), name) for name in ACTIONS), *super().get_urls()]

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        hours = request.POST.get("hours", "")
        if hours not in SPANS:
            raise SuspiciousOperation("no such span")
        begin = partial(deliveries.begin_replay, since=timezone.now() - timedelta(hours=int(hours)))
        row, job = self.act(request, object_id, begin, "endpoint")
        if isinstance(job, Job):
            return redirect(reverse("admin:tenants_job_change", args=[job.pk]))
        return redirect(self.row_url("change", row))

    def _action(self, name: str) -> Callable[..., HttpResponseBase]:
        def view(request: HttpRequest, object_id: str) -> HttpResponseBase:
            row, done = self.act(request, object_id, ACTIONS[name], "endpoint")
            if isinstance(done, endpoints.NewSecret):
                template = "admin/integrations/webhookendpoint/secret.html"
                return self.page(request, template, row=row, title="The new secret", secret=done.secret)
            if done:
                messages.success(request, DONE[name])
            return redirect(self.row_url("change", row))

        checked: Callable[..., HttpResponseBase] = require_POST(view)
        return checked


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(WebhookAdmin):
    list_display = ["created", "tenant", "event_type", "state", "attempts", "answered", "trouble", "endpoint"]
    list_filter = [("status", ChoicesDropdownFilter), ("event_type", FieldTextFilter)]
    list_select_related = ["tenant", "endpoint"]
    ordering = ["-id"]
    fields = [
        "tenant", "endpoint", "event_type", "sequence", "state", "attempts", "due", "answered", "last_error", "last_answer",
        "body", "created", "settled",
    ]  # fmt: skip
    change_form_outer_before_template = "admin/integrations/webhookdelivery/head.html"
    empty_title = "Nothing has been sent yet"
    empty_hint = "What happens to calls, messages and agents is sent to the customers' webhook endpoints and noted here."

    @admin.display(description="created", ordering="id")
    def created(self, row: WebhookDelivery) -> str:
        return moment(row.created_at, row.tenant.timezone, seconds=True)

    @admin.display(description="state", ordering="status")
    def state(self, row: WebhookDelivery) -> SafeString:
        return badge(row.get_status_display(), DELIVERY_TONES[row.status])

    @admin.display(description="answer")
    def answered(self, row: WebhookDelivery) -> str:
        return f"{row.last_status} in {row.last_duration_ms} ms" if row.last_status else EMPTY

    @admin.display(description="last error")
    def trouble(self, row: WebhookDelivery) -> str:
        return row.last_error[:100] or EMPTY

    @admin.display(description="next attempt")
    def due(self, row: WebhookDelivery) -> str:
        waits = row.status == WebhookDelivery.Status.PENDING
        return moment(row.next_at, row.tenant.timezone, seconds=True) if waits else EMPTY

    @admin.display(description="settled")
    def settled(self, row: WebhookDelivery) -> str:
        return moment(row.settled_at, row.tenant.timezone, seconds=True)

    @admin.display(description="payload")
    def body(self, row: WebhookDelivery) -> SafeString:
        return format_html('<pre class="vp-prewrap">{}</pre>', json.dumps(row.payload, indent=2, ensure_ascii=False))

    def get_urls(self) -> list[URLPattern]:
        return [self.row_path("resend/", require_POST(self.resend_view), "resend"), *super().get_urls()]

    def resend_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        row, done = self.act(request, object_id, deliveries.resend, "delivery")
        if done:
            messages.success(request, "It is sent again within seconds.")
        return redirect(self.row_url("change", row))
