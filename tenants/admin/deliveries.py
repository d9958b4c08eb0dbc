"""News on its way to other parts of the platform, and what became of it."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter

from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.admin.forms import ReasonForm
from tenants.display import EMPTY, badge, moment
from tenants.models import OutboxDelivery
from tenants.services.delivery import revive
from tenants.staff import staff_user

TONES = {"pending": "info", "done": "success", "dead": "danger"}


@admin.register(OutboxDelivery)
class OutboxDeliveryAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    """A delivery that failed for good is tried again when staff say so."""

    list_display = ["due", "tenant", "state", "topic", "subscriber", "attempts", "trouble"]
    list_filter = [("status", ChoicesDropdownFilter), ("subscriber", FieldTextFilter)]
    list_select_related = ["tenant", "event"]
    ordering = ["-next_at"]
    actions = None
    fields = ["tenant", "topic", "subscriber", "state", "attempts", "due", "settled", "last_error"]
    change_form_outer_before_template = "admin/tenants/outboxdelivery/head.html"
    empty_title = "Nothing to deliver yet"
    empty_hint = "What happens to a call is told here to the parts that count, rate and report it."

    @admin.display(description="due", ordering="next_at")
    def due(self, delivery: OutboxDelivery) -> str:
        return moment(delivery.next_at, delivery.tenant.timezone, seconds=True)

    @admin.display(description="settled")
    def settled(self, delivery: OutboxDelivery) -> str:
        return moment(delivery.settled_at, delivery.tenant.timezone, seconds=True)

    @admin.display(description="state", ordering="status")
    def state(self, delivery: OutboxDelivery) -> SafeString:
        return badge(delivery.get_status_display(), TONES[delivery.status])

    @admin.display(description="topic")
    def topic(self, delivery: OutboxDelivery) -> str:
        return f"{delivery.event.topic} #{delivery.sequence}"

    @admin.display(description="last error")
    def trouble(self, delivery: OutboxDelivery) -> str:
        return delivery.last_error[:100] or EMPTY

    def has_revive_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tenants.change_outboxdelivery")

    def get_urls(self) -> list[URLPattern]:
        return [self.row_path("revive/", require_POST(self.revive_view), "revive"), *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        offer = {"may_revive": self.has_revive_permission(request)}
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **offer})

    def revive_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        delivery: OutboxDelivery = self.row_or_404(request, object_id)
        if not (self.has_view_permission(request, delivery) and self.has_revive_permission(request)):
            raise PermissionDenied
        form = ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, "Nothing was tried: say why, it is kept in the audit.")
        elif revive(delivery=delivery, actor=staff_user(request), reason=form.cleaned_data["reason"]):
            messages.success(request, "It is tried again within seconds.")
        else:
            messages.error(request, "Only a delivery that failed for good can be tried again.")
        return redirect(self.row_url("change", delivery))
