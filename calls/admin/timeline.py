"""Who spoke when, as bars over the length of the call."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from calls.admin.waterfall import percent
from tenants.display import clock

STEPS_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600)
NARROWEST = 0.0015  # of the width, so that a short word stays visible


@dataclass(frozen=True, slots=True)
class Bar:
    speaker: str
    x: str
    width: str
    interrupted: bool
    cut_x: str


@dataclass(frozen=True, slots=True)
class Timeline:
    duration_ms: int
    bars: list[Bar]
    tools: list[str]
    ticks: list[tuple[str, str]]

    @property
    def has_person(self) -> bool:
        return any(bar.speaker == "person" for bar in self.bars)


def draw(*, turns: Iterable[Mapping[str, Any]], tools: Iterable[int | None], duration_ms: int | None) -> Timeline | None:
    """Bars for turns whose times are known; None when there is nothing to draw."""
    timed = [turn for turn in turns if turn["started_ms"] is not None]
    length = max([duration_ms or 0, *(turn["ended_ms"] or turn["started_ms"] for turn in timed)])
    if not timed or length <= 0:
        return None
    return Timeline(
        duration_ms=length,
        bars=[_bar(turn, length) for turn in timed],
        tools=[percent(min(at, length) / length) for at in tools if at is not None],
        ticks=_ticks(length),
    )


def _bar(turn: Mapping[str, Any], length: int) -> Bar:
    start = min(max(turn["started_ms"], 0), length)
    end = min(max(turn["ended_ms"] or start, start), length)
    return Bar(
        speaker=turn["speaker"],
        x=percent(start / length),
        width=percent(max((end - start) / length, NARROWEST)),
        interrupted=turn["interrupted"],
        cut_x=percent(end / length),
    )


def _ticks(length: int) -> list[tuple[str, str]]:
    step = next((step for step in STEPS_S if length / (step * 1000) <= 5), STEPS_S[-1])
    # A label needs room to its right.
    return [(percent(at * 1000 / length), clock(at * 1000)) for at in range(0, int(length * 0.94 / 1000) + 1, step)]
