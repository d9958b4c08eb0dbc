"""All recordings, and which of them need somebody."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter

from calls.admin.filters import DayRangeFilter
from calls.admin.recording_states import standing
from calls.models import Recording
from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.display import EMPTY, duration, moment

State = Recording.State


class TroubleFilter(DropdownFilter):
    title = "state"
    parameter_name = "show"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [
            ("trouble", "Needs somebody"),
            ("waits", "The storage does not take or give it"),
            ("way", "On its way"),
            ("stored", "Stored"),
            ("lost", "Lost"),
            ("deleted", "Deleted"),
        ]

    def queryset(self, _request: HttpRequest, rows: QuerySet[Recording]) -> QuerySet[Recording]:
        match self.value():
            case "trouble":
                return rows.filter(Q(state=State.LOST) | Q(cut_short=True) | ~Q(problem=""))
            case "waits":
                return rows.filter(state__in=[State.SPOOLED, State.MAKING]).exclude(problem="")
            case "way":
                return rows.filter(state=State.SPOOLED, problem="")
            case "stored" | "lost" | "deleted":
                return rows.filter(state=self.value())
        return rows


@admin.register(Recording)
class RecordingAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["state_badge", "call_link", "tenant", "length", "megabytes", "reason", "stored"]
    list_filter = [TroubleFilter, ("stored_at", DayRangeFilter)]
    list_select_related = ["tenant", "call__agent"]
    ordering = ["-id"]
    actions = None
    fields = [
        "state_badge", "call_link", "tenant", "number", "reason", "words", "next_step", "length", "megabytes", "sha256",
        "spool_path", "place", "file", "tries", "tried", "stored",
    ]  # fmt: skip
    readonly_fields = fields
    empty_title = "No recordings yet"
    empty_hint = "Each call whose agent records leaves one here. Simulate a call to hear the first."
    empty_link = ("Open Agents", "admin:agents_agent_changelist")

    @admin.display(description="state", ordering="state")
    def state_badge(self, recording: Recording) -> SafeString:
        return standing(recording).badge

    @admin.display(description="call")
    def call_link(self, recording: Recording) -> SafeString:
        url = reverse("admin:calls_call_change", args=[recording.call_id])
        when = moment(recording.call.created_at, recording.tenant.timezone)
        return format_html('<a href="{}">{}, {}</a>', url, recording.call.agent, when)

    @admin.display(description="id")
    def number(self, recording: Recording) -> SafeString:
        return format_html('<span class="vp-mono">{}</span>', recording.public_id)

    @admin.display(description="why")
    def reason(self, recording: Recording) -> str:
        return standing(recording).sentence or EMPTY

    @admin.display(description="in its own words")
    def words(self, recording: Recording) -> str:
        return standing(recording).detail or EMPTY

    @admin.display(description="next step")
    def next_step(self, recording: Recording) -> str:
        return standing(recording).next_step or "Nothing to do."

    @admin.display(description="length", ordering="duration_ms")
    def length(self, recording: Recording) -> str:
        return duration(recording.duration_ms / 1000) if recording.duration_ms is not None else EMPTY

    @admin.display(description="MB", ordering="size")
    def megabytes(self, recording: Recording) -> str:
        return f"{recording.size / 1_000_000:.1f}" if recording.size is not None else EMPTY

    @admin.display(description="last tried", ordering="tried_at")
    def tried(self, recording: Recording) -> SafeString | str:
        return moment(recording.tried_at, recording.tenant.timezone, seconds=True)

    @admin.display(description="stored", ordering="stored_at")
    def stored(self, recording: Recording) -> SafeString | str:
        return moment(recording.stored_at, recording.tenant.timezone)
