"""What the LiveKit server has told us, what became of it, and who called a number that is nobody's."""

import json
from collections.abc import Mapping
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, FieldTextFilter

from calls.models import Call, ProviderEvent
from calls.services.inbound import STRAYED_AGENT, STRAYED_NUMBER
from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.display import badge, moment
from tenants.scope import EVERYONE, current_scope

_WHY_STRAY: Final[Mapping[str, str]] = {
    STRAYED_NUMBER: "Nobody has this number: add it under Numbers, or stop its calls at the carrier.",
    STRAYED_AGENT: "The number has no agent that could answer: choose one on its page, and publish the agent.",
}


class StrayFilter(DropdownFilter):
    title = "calls to nobody"
    parameter_name = "stray"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [("only", "Only calls that nobody could take")]

    def queryset(self, _request: HttpRequest, rows: QuerySet[ProviderEvent]) -> QuerySet[ProviderEvent]:
        return rows.filter(kind=ProviderEvent.STRAY) if self.value() == "only" else rows


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["received", "happened", "kind", "about", "state"]
    list_filter = [StrayFilter, ("provider", ChoicesDropdownFilter), ("kind", FieldTextFilter), ("room", FieldTextFilter)]
    ordering = ["-received_at", "-id"]
    actions = None
    fields = ["received", "happened", "provider", "kind", "about", "event_id", "state", "call_id", "content"]
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

    @admin.display(description="about")
    def about(self, event: ProviderEvent) -> str:
        """The room; of a call that was nobody's, the numbers, and what can be done."""
        if event.kind != ProviderEvent.STRAY:
            return event.room
        caller = event.body.get("caller") or "a withheld number"
        why = _WHY_STRAY.get(event.body.get("why", ""), "")
        return f"{caller} called {event.body.get('called') or 'a number that was not told'}. {why}".strip()

    @admin.display(description="state")
    def state(self, event: ProviderEvent) -> SafeString:
        if event.kind == ProviderEvent.STRAY:
            return badge("turned away", "warning", title="The caller heard a sentence, and the room was closed")
        if event.handled_at is None:
            return badge("waiting", title="For its call, or for the job that holds it")
        return badge("handled", "success") if event.call_id else badge("about no call")

    @admin.display(description="content")
    def content(self, event: ProviderEvent) -> SafeString:
        return format_html('<pre class="vp-prewrap">{}</pre>', json.dumps(event.body, indent=2, ensure_ascii=False))
