"""The processes that hold conversations, and whether they are alive."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter

from calls.models import WorkerHost
from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.display import EMPTY, badge, moment

SILENT_AFTER = timedelta(seconds=15)


def alive() -> QuerySet[WorkerHost]:
    """Hosts that live, and take new calls unless they drain."""
    return WorkerHost.objects.filter(retired_at=None, last_beat_at__gte=timezone.now() - SILENT_AFTER)


def taking() -> QuerySet[WorkerHost]:
    """Hosts that take new calls."""
    return alive().filter(draining=False)


class AliveFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [("alive", "Alive"), ("draining", "Draining"), ("gone", "Retired or silent")]

    def queryset(self, _request: HttpRequest, hosts: QuerySet[WorkerHost]) -> QuerySet[WorkerHost]:
        if self.value() == "alive":
            return hosts.filter(pk__in=alive())
        if self.value() == "draining":
            return hosts.filter(pk__in=alive(), draining=True)
        return hosts.exclude(pk__in=alive()) if self.value() == "gone" else hosts


@admin.register(WorkerHost)
class WorkerHostAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["name", "state", "transport", "capacity", "memory", "runs_on", "beat", "started"]
    list_filter = [AliveFilter]
    ordering = ["-last_beat_at"]
    actions = None
    fields = ["name", "state", "transport", "capacity", "memory", "runs_on", "started", "beat", "to_hand_in"]
    empty_title = "No worker host has ever started"
    empty_hint = (
        "Calls wait until one is alive. Start one for simulated calls and chats with: manage.py run_voice_worker --local "
        "(make run does), and one for telephone calls with: manage.py run_voice_worker --livekit."
    )

    @admin.display(description="state")
    def state(self, host: WorkerHost) -> SafeString:
        if host.retired_at is not None:
            return badge("retired")
        silent = timezone.now() - host.last_beat_at > SILENT_AFTER
        if silent:
            return badge("silent", "danger", title="Its calls end as failed (worker_lost)")
        if host.draining:
            return badge("draining", "warning", title="It was told to stop: it takes no new calls and lets running ones end")
        return badge("alive", "success")

    @admin.display(description="busy")
    def capacity(self, host: WorkerHost) -> str:
        if host.retired_at:
            return EMPTY
        busy, share = len(host.job_ids), min(100, round(100 * len(host.job_ids) / max(1, host.slots)))
        return format_html(
            '{} of {}<div class="vp-progress vp-capacity" role="progressbar" aria-label="Busy" aria-valuenow="{}" '
            'aria-valuemin="0" aria-valuemax="{}"><div style="width: {}%"></div></div>',
            busy,
            host.slots,
            busy,
            host.slots,
            share,
        )

    @admin.display(description="memory of its jobs")
    def memory(self, host: WorkerHost) -> SafeString | str:
        if not host.peak_job_mb:
            return EMPTY
        now = 0 if host.retired_at else host.memory_mb
        return format_html('<span title="The most that one job used: {} MB">{} MB</span>', host.peak_job_mb, now)

    @admin.display(description="runs on")
    def runs_on(self, host: WorkerHost) -> SafeString | str:
        if not host.versions:
            return EMPTY
        every = " · ".join(f"{name} {version}" for name, version in host.versions.items())
        return format_html('<span title="{}">{}</span>', every, host.versions.get("platform", EMPTY))

    @admin.display(description="last beat", ordering="last_beat_at")
    def beat(self, host: WorkerHost) -> str:
        return moment(host.last_beat_at, seconds=True)

    @admin.display(description="started", ordering="started_at")
    def started(self, host: WorkerHost) -> str:
        return moment(host.started_at)

    @admin.display(description="calls whose records it still hands in")
    def to_hand_in(self, host: WorkerHost) -> int:
        return len(host.spooled_call_ids)
