"""Reads about calls that more than one interface needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, DateField, DateTimeField, F, Func, Q, Sum
from django.db.models.functions import Cast

from calls.endings import why_it_ended
from calls.lifecycle import OBJECT_TYPE
from calls.models import Call, Message, ToolCall, Turn
from tenants.models import UsageRecord
from voiceplatform.lib.retry import retry_on_lost_connection

__all__ = [
    "GROUPS",
    "CostLine",
    "Progress",
    "TurnTiming",
    "UsageTotal",
    "call_progress",
    "cost_lines",
    "turn_timings",
    "usage_totals",
    "why_it_ended",
]

STAGES: Final = (
    "transcription_delay",
    "end_of_turn_delay",
    "llm_ttft",
    "tts_ttfb",
    "e2e_latency",
    "response_gap",
    "stop",
    "overlap",
)

_LOCAL: Final = Func(F("tenant__timezone"), F("created_at"), function="timezone", output_field=DateTimeField())
GROUPS: Final[Mapping[str, Any]] = {"day": Cast(_LOCAL, DateField()), "agent": F("agent_id"), "kind": F("kind")}
"""What totals can be taken over. A day is one of the tenant's time zone."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is new in a call since somebody last looked. `seen` is what to pass as `after` the next time."""

    status: str
    disposition: str
    turns: list[Turn]
    tool_calls: list[ToolCall]
    messages: list[Message]
    seen: int


@dataclass(frozen=True, slots=True)
class CostLine:
    """`cost` is None for a line without a price, or not yet priced."""

    kind: str
    provider: str
    model: str
    unit: str
    quantity: Decimal
    cost: Decimal | None
    price: Decimal | None
    per: Decimal | None
    currency: str


@dataclass(frozen=True, slots=True)
class TurnTiming:
    """Where a turn's time went, in milliseconds; stages nobody measured are left out."""

    sequence: int
    speaker: str
    started_ms: int | None
    ended_ms: int | None
    interrupted: bool
    stages: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """`costs` has the sum for each currency; calls that are not finalized are in none."""

    group: date | UUID | str
    calls: int
    answered_calls: int
    duration: timedelta
    costs: Mapping[str, Decimal]
    calls_without_final_cost: int


@retry_on_lost_connection
def call_progress(call: Call, *, after: int = -1) -> Progress:
    """For watching a running call: its state now and the turns behind number `after`, with all tool calls and messages."""
    status, disposition = Call.objects.values_list("status", "disposition").get(pk=call.pk)
    turns = list(Turn.objects.filter(call=call, sequence__gt=after))
    return Progress(
        status=status,
        disposition=disposition,
        turns=turns,
        tool_calls=list(ToolCall.objects.filter(call=call)),
        messages=list(Message.objects.filter(call=call).order_by("taken_at", "id")),
        seen=turns[-1].sequence if turns else after,
    )


def cost_lines(call: Call) -> list[CostLine]:
    """What the call used, line by line, with the price each line was rated at."""
    records = UsageRecord.objects.filter(subject_type=OBJECT_TYPE, subject_id=call.pk)
    return [
        CostLine(
            kind=record.kind,
            provider=record.provider,
            model=record.model,
            unit=record.unit,
            quantity=record.quantity,
            cost=record.cost,
            price=record.rate_price,
            per=record.rate_per,
            currency=record.rate_currency,
        )
        for record in records.order_by("kind", "provider", "model", "unit", "id")
    ]


def turn_timings(call: Call) -> list[TurnTiming]:
    """Every turn's times without its words, in order; one query."""
    times = ("sequence", "speaker", "started_ms", "ended_ms", "interrupted")
    rows = Turn.objects.filter(call=call).values(*times, "metrics")
    return [TurnTiming(**{name: row[name] for name in times}, stages=_stages(row["metrics"])) for row in rows]


def usage_totals(*, since: datetime, until: datetime, group_by: str, with_tests: bool = False) -> list[UsageTotal]:
    """Totals of the calls of the tenant in scope that were placed in [since, until); one query.

    Without `with_tests` simulations, chats and test calls are left out.
    """
    calls = Call.objects.all() if with_tests else Call.objects.live()
    rows = (
        calls.filter(created_at__gte=since, created_at__lt=until)
        .order_by()
        .values("currency", group=GROUPS[group_by])
        .annotate(
            calls=Count("pk"),
            answered=Count("answered_at"),
            talked=Sum(F("ended_at") - F("answered_at")),
            paid=Sum("cost"),
            open=Count("pk", filter=Q(finalized_at=None)),
        )
        .order_by("group", "currency")
    )
    return [_total(group, list(found)) for group, found in groupby(rows, key=lambda row: row["group"])]


def _total(group: Any, rows: list[dict[str, Any]]) -> UsageTotal:
    return UsageTotal(
        group=group,
        calls=sum(row["calls"] for row in rows),
        answered_calls=sum(row["answered"] for row in rows),
        duration=sum((row["talked"] for row in rows if row["talked"]), timedelta()),
        costs={row["currency"]: row["paid"] for row in rows if row["paid"] is not None},
        calls_without_final_cost=sum(row["open"] for row in rows),
    )


def _stages(metrics: Mapping[str, float]) -> dict[str, float]:
    return {stage: metrics[stage] for stage in STAGES if stage in metrics}
