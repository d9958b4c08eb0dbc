"""The picture of where each answer's time went, from the end of the caller's speech to the first sound."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median, quantiles
from typing import Any

STAGES = (
    ("transcription", "Transcription", "Until the final text of what the caller said was there."),
    ("end_of_turn", "End-of-turn wait", "The rest of the wait until the agent decided that the caller had finished."),
    ("tool", "Tool, chosen and run", "Until the language model had chosen a tool and the tool had run."),
    ("llm", "Model, first words", "Until the language model began to answer."),
    ("voice", "Voice, first sound", "Until the voice began to speak."),
)
WORDS = {"transcription": "text", "end_of_turn": "wait", "tool": "tool", "llm": "model", "voice": "voice"}
LONGEST_MS = 10_000  # a longer wait is cut off in the picture, never in the numbers
STEPS_MS = (100, 200, 250, 500, 1_000, 2_000, 2_500)


@dataclass(frozen=True, slots=True)
class Answer:
    """One agent turn: milliseconds per stage, and what the ears measured on the line."""

    sequence: int
    started_ms: int | None
    stages: Mapping[str, float]
    heard_ms: float | None
    stop_ms: float | None = None
    overlap_ms: float | None = None
    interrupted: bool = False

    @property
    def total_ms(self) -> float:
        return max(sum(self.stages.values()), self.heard_ms or 0)


@dataclass(frozen=True, slots=True)
class Segment:
    kind: str
    x: str
    width: str


@dataclass(frozen=True, slots=True)
class Row:
    answer: Answer
    segments: list[Segment]
    heard_x: str
    heard_width: str
    cut_off: bool
    heard: str
    parts: list[tuple[str, str]]
    extras: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Waterfall:
    rows: list[Row] = field(default_factory=list)
    ticks: list[tuple[str, str]] = field(default_factory=list)
    median: str = ""
    p95: str = ""
    count: int = 0


def answers(turns: Iterable[Mapping[str, Any]], *, tools_ended_ms: Sequence[int] = ()) -> list[Answer]:
    """Answers in order; the caller's own turn before an answer holds its transcription and waiting times."""
    result: list[Answer] = []
    before: Mapping[str, Any] | None = None
    for turn in turns:
        if turn["speaker"] == "caller":
            before = turn
            continue
        answer = _answer(turn, before, tools_ended_ms)
        before = None
        if answer.stages or answer.heard_ms is not None:
            result.append(answer)
    return result


def _answer(turn: Mapping[str, Any], before: Mapping[str, Any] | None, tools_ended_ms: Sequence[int]) -> Answer:
    metrics, heard = turn["metrics"] or {}, (before or {}).get("metrics") or {}
    transcription = _ms(heard, "transcription_delay")
    wait = _ms(heard, "end_of_turn_delay")
    tool = _tool_ms(turn, before, tools_ended_ms, waited_ms=wait or 0)
    if wait is not None and transcription is not None:
        # Both clocks run from the end of speech, so the transcription lies inside the wait.
        transcription, wait = min(transcription, wait), max(wait - transcription, 0)
    first_words = _ms(metrics, "llm_ttft")
    stages = {
        "transcription": transcription,
        "end_of_turn": wait,
        "tool": tool,
        # A tool that says its answer itself leaves no words to wait for.
        "llm": None if tool is not None and not first_words else first_words,
        "voice": _ms(metrics, "tts_ttfb"),
    }
    return Answer(
        sequence=turn["sequence"],
        started_ms=turn["started_ms"],
        stages={name: value for name, value in stages.items() if value is not None},
        heard_ms=_ms(metrics, "response_gap"),
        stop_ms=_ms(metrics, "stop"),
        overlap_ms=_ms(metrics, "overlap"),
        interrupted=turn["interrupted"],
    )


def _tool_ms(
    turn: Mapping[str, Any], before: Mapping[str, Any] | None, tools_ended_ms: Sequence[int], *, waited_ms: float
) -> float | None:
    """From the end of the caller's turn until the last tool before this answer had run."""
    if before is None or before["ended_ms"] is None or turn["started_ms"] is None:
        return None
    within = [at for at in tools_ended_ms if before["ended_ms"] <= at <= turn["started_ms"]]
    return max(0.0, max(within) - before["ended_ms"] - waited_ms) if within else None


def _ms(metrics: Mapping[str, Any], name: str) -> float | None:
    value = metrics.get(name)
    return max(float(value), 0.0) if isinstance(value, int | float) and not isinstance(value, bool) else None


def draw(shown: list[Answer], everything: list[Answer]) -> Waterfall:
    """Rows for `shown` on one scale, with the middle and the slow end of all answers."""
    scale = _scale(shown)
    gaps = [answer.heard_ms for answer in everything if answer.heard_ms is not None]
    return Waterfall(
        rows=[_row(answer, scale) for answer in shown],
        ticks=_ticks(scale),
        median=seconds(median(gaps)) if gaps else "",
        p95=seconds(quantiles(gaps, n=20, method="inclusive")[-1] if len(gaps) > 1 else gaps[0]) if gaps else "",
        count=len(gaps),
    )


def _scale(shown: list[Answer]) -> float:
    longest = min(max((answer.total_ms for answer in shown), default=0), LONGEST_MS)
    return max(ceil(longest / 500) * 500, 500)


def _ticks(scale: float) -> list[tuple[str, str]]:
    step = next((step for step in STEPS_MS if scale / step <= 6), STEPS_MS[-1])
    return [(percent(at / scale), f"{at / 1000:g} s") for at in range(0, int(scale) + 1, step)]


def _row(answer: Answer, scale: float) -> Row:
    segments, at = [], 0.0
    for kind, _, _ in STAGES:
        length = answer.stages.get(kind, 0.0)
        if length and at < scale:
            segments.append(Segment(kind, percent(at / scale), percent(min(length, scale - at) / scale)))
        at += length
    heard = answer.heard_ms
    extras = [("stopped after", answer.stop_ms), ("spoke over each other", answer.overlap_ms)]
    return Row(
        answer=answer,
        segments=segments,
        heard_x=percent(min(heard, scale) / scale) if heard is not None else "",
        heard_width=percent(min(heard, scale) / scale) if heard is not None else "",
        cut_off=answer.total_ms > scale,
        heard=seconds(heard) if heard is not None else "",
        parts=[(WORDS[kind], f"{answer.stages[kind] / 1000:.2f}") for kind, _, _ in STAGES if kind in answer.stages],
        extras=[(label, seconds(value)) for label, value in extras if value],
    )


def percent(share: float) -> str:
    return f"{share * 100:.3f}%"


def seconds(ms: float) -> str:
    return f"{ms / 1000:.2f} s"
