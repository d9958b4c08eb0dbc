"""The questions an operator asks of the list of calls."""

from datetime import datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter, TextFilter

from agents.models import Agent
from calls.admin.states import ENDED_BADLY
from calls.models import Call, Recording

AGENTS_OFFERED = 300


class QuestionFilter(DropdownFilter):
    title = "question"
    parameter_name = "show"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [
            ("bad_today", "Ended badly today"),
            ("live_now", "Live now"),
            ("waiting", "Waiting for a worker host"),
            ("no_recording", "Ended without a recording"),
            ("no_price", "Cost incomplete: a price is missing"),
        ]

    def queryset(self, _request: HttpRequest, calls: QuerySet[Call]) -> QuerySet[Call]:
        match self.value():
            case "bad_today":
                return calls.filter(disposition__in=ENDED_BADLY, ended_at__gte=start_of_day())
            case "live_now":
                return calls.exclude(status__in=[Call.Status.ENDED, Call.Status.QUEUED])
            case "waiting":
                return calls.filter(status=Call.Status.QUEUED)
            case "no_recording":
                stored = Recording.objects.filter(call=OuterRef("pk"), state=Recording.State.STORED)
                return calls.filter(~Exists(stored), status=Call.Status.ENDED, answered_at__isnull=False)
            case "no_price":
                return calls.filter(finalized_at__isnull=False).exclude(cost_missing=[])
        return calls


class LivemodeFilter(DropdownFilter):
    title = "test calls"
    parameter_name = "mode"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [("live", "Without simulations and tests"), ("test", "Only simulations and tests")]

    def queryset(self, _request: HttpRequest, calls: QuerySet[Call]) -> QuerySet[Call]:
        return calls.filter(livemode=self.value() == "live") if self.value() in ("live", "test") else calls


class AgentFilter(DropdownFilter):
    """Agents of the tenant in view; with their tenants' names when all are."""

    title = "agent"
    parameter_name = "agent"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        agents = Agent.objects.select_related("tenant").order_by("name")[:AGENTS_OFFERED]
        return [(str(agent.pk), f"{agent.name} · {agent.tenant}") for agent in agents]

    def queryset(self, _request: HttpRequest, calls: QuerySet[Call]) -> QuerySet[Call]:
        offered = {value for value, _ in self.lookup_choices}
        return calls.filter(agent_id=self.value()) if self.value() in offered else calls


class CostAboveFilter(TextFilter):
    title = "cost above"
    parameter_name = "cost_above"

    def queryset(self, _request: HttpRequest, calls: QuerySet[Call]) -> QuerySet[Call]:
        try:
            return calls.filter(cost__gt=Decimal(self.value())) if self.value() else calls
        except InvalidOperation:
            return calls


class DayRangeFilter(RangeDateFilter):
    """Whole days in the zone of the page, the last one included."""

    def queryset(self, _request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        first = parse_day(self.used_parameters.get(f"{self.parameter_name}_from"))
        last = parse_day(self.used_parameters.get(f"{self.parameter_name}_to"))
        if first:
            rows = rows.filter(**{f"{self.parameter_name}__gte": first})
        if last:
            rows = rows.filter(**{f"{self.parameter_name}__lt": last + timedelta(days=1)})
        return rows


def parse_day(text: str | None) -> datetime | None:
    """The start of a day given as 2026-11-22; None for anything else."""
    try:
        day = parse_date(text or "")
    except ValueError:
        return None
    return timezone.make_aware(datetime.combine(day, time.min)) if day else None


def start_of_day() -> datetime:
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
