"""What the LiveKit server has told us, and what became of it."""

import json

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter

from calls.models import Call, ProviderEvent
from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.display import badge, moment
from tenants.scope import EVERYONE, current_scope


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["received", "happened", "kind", "room", "state"]
    list_filter = [("provider", ChoicesDropdownFilter), ("kind", FieldTextFilter), ("room", FieldTextFilter)]
    ordering = ["-received_at", "-id"]
    actions = None
    fields = ["received", "happened", "provider", "kind", "room", "event_id", "state", "call_id", "content"]
    empty_title = "The LiveKit server has told us nothing yet"
    empty_hint = "It does so when webhook.urls in its configuration names /hooks/livekit of this platform. Calls need none of it."

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderEvent]:
        """The name of a room has its caller's number in it, so whoever sees one tenant sees what is about its calls."""
        events: QuerySet[ProviderEvent] = super().get_queryset(request)
        return events if current_scope() is EVERYONE else events.filter(call_id__in=Call.objects.values("pk"))

    @admin.display(description="received", ordering="received_at")
    def received(self, event: ProviderEvent) -> str:
        return moment(event.received_at, seconds=True)

    @admin.display(description="happened", ordering="at")
    def happened(self, event: ProviderEvent) -> str:
        return moment(event.at, seconds=True)

    @admin.display(description="state")
    def state(self, event: ProviderEvent) -> SafeString:
        if event.handled_at is None:
            return badge("waiting", title="For its call, or for the job that holds it")
        return badge("handled", "success") if event.call_id else badge("about no call")

    @admin.display(description="content")
    def content(self, event: ProviderEvent) -> SafeString:
        return format_html('<pre class="vp-prewrap">{}</pre>', json.dumps(event.body, indent=2, ensure_ascii=False))
