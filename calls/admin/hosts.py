"""The processes that hold conversations, and whether they are alive."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter

from calls.models import WorkerHost
from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.display import EMPTY, badge, moment

SILENT_AFTER = timedelta(seconds=15)


def alive() -> QuerySet[WorkerHost]:
    """Hosts that serve calls now."""
    return WorkerHost.objects.filter(retired_at=None, last_beat_at__gte=timezone.now() - SILENT_AFTER)


class AliveFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [("alive", "Alive"), ("gone", "Retired or silent")]

    def queryset(self, _request: HttpRequest, hosts: QuerySet[WorkerHost]) -> QuerySet[WorkerHost]:
        if self.value() == "alive":
            return hosts.filter(pk__in=alive())
        return hosts.exclude(pk__in=alive()) if self.value() == "gone" else hosts


@admin.register(WorkerHost)
class WorkerHostAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["name", "state", "transport", "busy", "beat", "started"]
    list_filter = [AliveFilter]
    ordering = ["-last_beat_at"]
    actions = None
    fields = ["name", "state", "transport", "slots", "busy", "started", "beat", "to_hand_in"]
    empty_title = "No worker host has ever started"
    empty_hint = "Calls wait until one is alive. Start one with: manage.py run_voice_worker --local (make run does)."

    @admin.display(description="state")
    def state(self, host: WorkerHost) -> SafeString:
        if host.retired_at is not None:
            return badge("retired")
        silent = timezone.now() - host.last_beat_at > SILENT_AFTER
        return badge("silent", "danger", title="Its calls end as failed (worker_lost)") if silent else badge("alive", "success")

    @admin.display(description="busy")
    def busy(self, host: WorkerHost) -> str:
        return EMPTY if host.retired_at else f"{len(host.job_ids)} of {host.slots}"

    @admin.display(description="last beat", ordering="last_beat_at")
    def beat(self, host: WorkerHost) -> str:
        return moment(host.last_beat_at, seconds=True)

    @admin.display(description="started", ordering="started_at")
    def started(self, host: WorkerHost) -> str:
        return moment(host.started_at)

    @admin.display(description="calls whose records it still hands in")
    def to_hand_in(self, host: WorkerHost) -> int:
        return len(host.spooled_call_ids)
