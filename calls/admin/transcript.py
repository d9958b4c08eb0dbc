"""The transcript in pages, so that a call of three hours opens as quickly as one of three minutes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.tools import TOOLS
from calls.models import Call, ToolCall, Turn
from tenants.display import clock

PER_PAGE = 100
_REMARKED = (Turn.Source.APOLOGY, Turn.Source.WARNING, Turn.Source.ORDERED)
Timing = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """One turn as the transcript shows it."""

    sequence: int
    speaker: str
    started_ms: int | None
    clock: str
    text: str
    remark: str
    interrupted: bool
    heard_after: str
    redacted: bool


@dataclass(frozen=True, slots=True)
class Used:
    """One use of a tool, between the turns around it."""

    title: str
    trouble: str
    at: str


def timings(call: Call) -> list[Timing]:
    """Every turn without its words."""
    fields = ("sequence", "speaker", "started_ms", "ended_ms", "interrupted", "metrics")
    return list(Turn.objects.filter(call=call).order_by("sequence").values(*fields))


def index(turns: Sequence[Timing]) -> list[list[int]]:
    """For the player: sequence, start, end and page of each turn whose time is known."""
    return [
        [turn["sequence"], turn["started_ms"], turn["ended_ms"] or turn["started_ms"], position // PER_PAGE]
        for position, turn in enumerate(turns)
        if turn["started_ms"] is not None
    ]


def page_of(call: Call, *, number: int) -> dict[str, Any]:
    """Page `number` (from 0) of what was said, with the tools used meanwhile."""
    turns = Turn.objects.filter(call=call).order_by("sequence")
    wanted = list(turns[number * PER_PAGE : (number + 1) * PER_PAGE + 1])
    shown, following = wanted[:PER_PAGE], wanted[PER_PAGE:]
    until = following[0].started_ms if following else None
    since = shown[0].started_ms if shown and number else None
    tools = [tool for tool in ToolCall.objects.filter(call=call) if _between(tool.started_ms, since, until)]
    return {"entries": merge(shown, tools), "page": number}


def latest(call: Call, *, count: int) -> list[Any]:
    """The newest turns of a running call, oldest first, with the tools used."""
    turns = list(Turn.objects.filter(call=call).order_by("-sequence")[:count])[::-1]
    since = turns[0].started_ms if len(turns) == count else None
    tools = [tool for tool in ToolCall.objects.filter(call=call) if _between(tool.started_ms, since, None)]
    return merge(turns, tools)


def merge(turns: Sequence[Turn], tools: Sequence[ToolCall]) -> list[Said | Used]:
    """Turns in order, each tool before the first turn that began after it."""
    merged: list[Said | Used] = []
    waiting = sorted(tools, key=lambda tool: (tool.started_ms is None, tool.started_ms or 0, tool.sequence))
    for turn in turns:
        while waiting and turn.started_ms is not None and (at := waiting[0].started_ms) is not None and at < turn.started_ms:
            merged.append(_used(waiting.pop(0)))
        merged.append(_said(turn))
    return [*merged, *(_used(tool) for tool in waiting)]


def page_numbers(count: int) -> range:
    return range(max(1, -(-count // PER_PAGE)))


def _said(turn: Turn) -> Said:
    gap = turn.metrics.get("response_gap")
    return Said(
        sequence=turn.sequence,
        speaker=turn.speaker,
        started_ms=turn.started_ms,
        clock=clock(turn.started_ms),
        text=turn.text,
        remark=turn.get_source_display() if turn.source in _REMARKED else "",
        interrupted=turn.interrupted,
        redacted=turn.redacted,
        heard_after=f"{gap / 1000:.1f} s" if isinstance(gap, int | float) else "",
    )


def _used(tool: ToolCall) -> Used:
    title = TOOLS[tool.key].title if tool.key in TOOLS else tool.key
    trouble = "" if tool.status == ToolCall.Status.OK else tool.get_status_display()
    return Used(title=title, trouble=trouble, at=clock(tool.started_ms))


def _between(at: int | None, since: int | None, until: int | None) -> bool:
    if at is None:
        return until is None
    return (since is None or at >= since) and (until is None or at < until)
