"""Reads about calls that more than one interface needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from calls.endings import why_it_ended
from calls.lifecycle import OBJECT_TYPE
from calls.models import Call, Message, ToolCall, Turn
from tenants.models import UsageRecord
from voiceplatform.lib.retry import retry_on_lost_connection

__all__ = ["CostLine", "Progress", "TurnTiming", "call_progress", "cost_lines", "turn_timings", "why_it_ended"]

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
        for record in records.order_by("kind", "provider", "model", "unit")
    ]


def turn_timings(call: Call) -> list[TurnTiming]:
    """Every turn's times without its words, in order; one query."""
    times = ("sequence", "speaker", "started_ms", "ended_ms", "interrupted")
    rows = Turn.objects.filter(call=call).values(*times, "metrics")
    return [TurnTiming(**{name: row[name] for name in times}, stages=_stages(row["metrics"])) for row in rows]


def _stages(metrics: Mapping[str, float]) -> dict[str, float]:
    return {stage: metrics[stage] for stage in STAGES if stage in metrics}
