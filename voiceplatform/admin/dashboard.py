"""The first page: what happens today, what failed and why, and whether anybody can take calls."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from analytics.selectors import last_days
from calls.admin.explain import explain
from calls.admin.filters import start_of_day
from calls.admin.hosts import SILENT_AFTER
from calls.admin.states import ENDED_BADLY, state_badge
from calls.models import Call, WorkerHost
from tenants.display import money
from voiceplatform.admin.charts import Day, bar_chart

DAYS = 14
FAILURES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Today:
    calls: int
    bad: int
    minutes: str
    cost: str

    @property
    def bad_share(self) -> str:
        return f"{self.bad / self.calls:.0%} of today's" if self.calls else "none so far"


def dashboard_context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    if not request.user.has_perm("calls.view_call"):
        return context
    with_tests = request.GET.get("tests") == "1"
    calls = Call.objects.all() if with_tests else Call.objects.live()
    failures = calls.filter(disposition__in=ENDED_BADLY).select_related("agent", "tenant").order_by("-created_at", "-id")
    days = [
        Day(on=day.day, good=day.calls - day.failed, bad=day.failed)
        for day in last_days(last=timezone.localdate(), days=DAYS, with_tests=with_tests)
    ]
    return {
        **context,
        "with_tests": with_tests,
        "today": _today(calls),
        "live_now": calls.open().exclude(status=Call.Status.QUEUED).count(),
        "waiting": calls.open().filter(status=Call.Status.QUEUED).count(),
        "hosts": _hosts(),
        "chart": bar_chart(days),
        "has_figures": any(day.total for day in days),
        "failures": [_failure(call) for call in failures[:FAILURES_SHOWN]],
        "first_steps": None if Call.objects.exists() else _first_steps(),
        "calls_url": reverse("admin:calls_call_changelist"),
    }


def _today(calls: QuerySet[Call]) -> Today:
    talked = ExpressionWrapper(F("ended_at") - F("answered_at"), output_field=DurationField())
    rows = list(
        calls.filter(created_at__gte=start_of_day())
        .order_by()
        .values("currency")
        .annotate(
            calls=Count("pk"),
            bad=Count("pk", filter=Q(disposition__in=ENDED_BADLY)),
            talked=Sum(talked, filter=Q(answered_at__isnull=False, ended_at__isnull=False)),
            cost=Sum("cost"),
        )
    )
    seconds = sum((row["talked"] or timedelta()).total_seconds() for row in rows)
    costs = [money(row["cost"] or Decimal(), row["currency"]) for row in rows]
    return Today(
        calls=sum(row["calls"] for row in rows),
        bad=sum(row["bad"] for row in rows),
        minutes=f"{seconds / 60:,.0f}" if seconds >= 600 else f"{seconds / 60:.1f}",
        cost=" + ".join(costs) or "–",
    )


def _hosts() -> dict[str, Any]:
    hosts = list(WorkerHost.objects.filter(retired_at=None, last_beat_at__gte=timezone.now() - SILENT_AFTER))
    return {
        "alive": len(hosts),
        "busy": sum(len(host.job_ids) for host in hosts),
        "slots": sum(len(host.job_ids) if host.draining else host.slots for host in hosts),
    }


def _failure(call: Call) -> dict[str, Any]:
    return {
        "call": call,
        "state": state_badge(call),
        "reason": explain(call),
        "url": reverse("admin:calls_call_change", args=[call.pk]),
    }


def _first_steps() -> dict[str, str]:
    """Where somebody who sees an empty console goes next."""
    agent = Agent.objects.in_use().order_by("created_at").first()
    if agent is None:
        return {"url": reverse("admin:agents_agent_changelist"), "label": "Open Agents", "agent": ""}
    return {
        "url": reverse("admin:agents_agent_simulate", args=[agent.pk]),
        "label": "Simulate your first call",
        "agent": agent.name,
    }
