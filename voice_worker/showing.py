"""A simulated call on a terminal: what is said while it is said, and what it came to."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import UUID

from django.utils import timezone
from rich.console import Console
from rich.table import Table

from calls.models import Call, Recording
from calls.places import storage_at
from calls.resolving import scope_of_call
from calls.selectors import CostLine, TurnTiming, cost_lines, turn_timings, why_it_ended
from calls.services.finalizing import finalize_call
from tenants.services.usage import Estimate, estimate_elsewhere
from voice_worker.far_ends import persona_log
from voice_worker.outcome import Outcome
from voice_worker.simulation.log import LoggedCall, read_log

_ELSEWHERE: Final = "gemini-elevenlabs"
_KINDS: Final = {"stt": "hearing", "llm": "thinking", "tts": "speaking"}
_STAGES: Final = {
    "response_gap": "silence heard",
    "end_of_turn_delay": "end of turn",
    "transcription_delay": "words",
    "llm_ttft": "first token",
    "tts_ttfb": "first sound",
    "stop": "stopped after",
}


class Ticker:
    """Prints news of a call as they come."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._caller: Mapping[str, Any] | None = None

    def tell(self, news: Mapping[str, Any]) -> None:
        show = getattr(self, f"_on_{news['op']}", None)
        if show:
            show(news)

    def close(self) -> None:
        self._say_caller()

    def _on_rehearsed(self, news: Mapping[str, Any]) -> None:
        if news["done"] in (0, news["total"]):
            done = "is ready" if news["done"] else f"rehearses {news['total']} lines"
            self._note(f"the caller {done}")

    def _on_event(self, news: Mapping[str, Any]) -> None:
        if news["kind"] == "prepared":
            self._note(f"the agent reads its instructions; tools: {', '.join(news['data']['tools']) or 'none'}")
        if news["kind"] == "provider_failed":
            self._console.print(f"         a provider failed: {news['data']['detail']}", style="red", markup=False)

    def _on_status(self, news: Mapping[str, Any]) -> None:
        self._say_caller()
        if news["to"] == "in_progress":
            self._console.print("the call is answered", style="bold")
        else:
            self._console.print(f"the call has ended: {news['ended_reason'].replace('_', ' ')}", style="bold")

    def _on_turn(self, news: Mapping[str, Any]) -> None:
        """A caller's turn is told again while it grows, and shown once it is complete."""
        if self._caller and self._caller["sequence"] != news["sequence"]:
            self._say_caller()
        if news["speaker"] == "caller":
            self._caller = news
            if news["metrics"]:
                self._say_caller()
            return
        took = f"{news['metrics']['e2e_latency'] / 1000:.1f} s" if "e2e_latency" in news["metrics"] else ""
        self._line("agent", news, note=" ".join(filter(None, [took, "(interrupted)" if news["interrupted"] else ""])))

    def _on_tool_call(self, news: Mapping[str, Any]) -> None:
        given = ", ".join(f"{name}={value!r}" for name, value in news["arguments"].items())
        text = f"         tool {news['key']}({given}): {news['status']}"
        self._console.print(text, style="magenta", markup=False, highlight=False)

    def _say_caller(self) -> None:
        if self._caller:
            self._line("caller", self._caller)
            self._caller = None

    def _line(self, who: str, turn: Mapping[str, Any], *, note: str = "") -> None:
        at = (turn["started_ms"] or 0) / 1000
        style = "cyan" if who == "caller" else "green"
        self._console.print(f"{at:6.1f}  {who:<6} ", style=style, end="", highlight=False)
        self._console.print(turn["text"], end="  " if note else "\n", markup=False, highlight=False)
        if note:
            self._console.print(note, style="dim", markup=False, highlight=False)

    def _note(self, text: str) -> None:
        self._console.print(f"  {text}", style="dim", markup=False, highlight=False)


@dataclass(frozen=True, slots=True)
class Summary:
    public_id: str
    outcome: Outcome
    in_words: str
    duration_s: float
    timings: list[TurnTiming]
    lines: list[CostLine]
    cost: Decimal | None
    currency: str
    elsewhere: Estimate
    log: LoggedCall | None
    recording: str
    log_path: Path


def summarise(call_id: UUID) -> Summary:
    """What is stored about an ended call."""
    with scope_of_call(call_id):
        finalize_call(call_id=call_id)
        call = Call.objects.get(pk=call_id)
        lines = cost_lines(call)
        path = persona_log(call_id)
        return Summary(
            public_id=call.public_id,
            outcome=Outcome(call.disposition, call.ended_reason, call.ended_detail),
            in_words=why_it_ended(call),
            duration_s=call.duration_s or 0.0,
            timings=turn_timings(call),
            lines=lines,
            cost=call.cost,
            currency=call.currency,
            elsewhere=estimate_elsewhere(lines, _ELSEWHERE, at=timezone.now()),
            log=read_log(path) if path.is_file() else None,
            recording=_recording_path(call),
            log_path=path,
        )


def _recording_path(call: Call) -> str:
    row = Recording.objects.filter(call=call).first()
    if row is None:
        return "none"
    if row.state == Recording.State.STORED:
        return f"{row.file} in the storage" if row.place == "gcs" else str(storage_at(row.place).path(row.file))
    return row.spool_path if row.state == Recording.State.SPOOLED else f"lost: {row.detail}"


def print_summary(summary: Summary, console: Console) -> None:
    console.print()
    mark = "[green]ended well[/]" if summary.outcome.is_well else f"[red]{summary.outcome.disposition}[/]"
    console.print(f"{mark} after {summary.duration_s:.0f} s. ", end="")
    console.print(summary.in_words, markup=False)
    if summary.outcome.detail:
        console.print(f"  {summary.outcome.detail}", style="red", markup=False)
    _print_goals(summary, console)
    _print_latencies(summary, console)
    _print_costs(summary, console)
    for label, value in (("recording", summary.recording), ("caller's log", summary.log_path), ("call", summary.public_id)):
        console.print(f"  {label:<13}{value}", markup=False, highlight=False, soft_wrap=True)


def _print_goals(summary: Summary, console: Console) -> None:
    if summary.log is None:
        return
    titles: dict[str, str] = summary.log.header.get("goals", {})
    for key, title in titles.items():
        reached = key in summary.log.reached
        console.print(f"  {'reached' if reached else 'MISSED '}  the caller {title}", style="green" if reached else "red")


def _print_latencies(summary: Summary, console: Console) -> None:
    table = Table(title="Milliseconds per turn", title_justify="left", box=None, pad_edge=False)
    table.add_column("turn")
    found: dict[str, list[float]] = defaultdict(list)
    for label in _STAGES.values():
        table.add_column(label, justify="right")
    for timing in summary.timings:
        for stage, value in timing.stages.items():
            found[stage].append(value)
        if any(stage in timing.stages for stage in _STAGES):
            cells = [f"{timing.stages[stage]:.0f}" if stage in timing.stages else "" for stage in _STAGES]
            table.add_row(f"{timing.sequence} {timing.speaker}", *cells)
    if table.row_count:
        table.add_row("median", *(f"{median(found[stage]):.0f}" if found[stage] else "" for stage in _STAGES), style="bold")
        console.print(table)


def _print_costs(summary: Summary, console: Console) -> None:
    by_kind: dict[str, Decimal] = defaultdict(Decimal)
    for line in summary.lines:
        by_kind[line.kind] += line.cost or Decimal(0)
    parts = ", ".join(f"{_KINDS.get(kind, kind)} {_money(cost)}" for kind, cost in by_kind.items())
    total = _money(summary.cost) if summary.cost is not None else "not known yet"
    console.print(f"  cost         {summary.currency} {total}{f' ({parts})' if parts else ''}", markup=False, highlight=False)
    there = summary.elsewhere
    missing = f" (without {', '.join(there.missing)})" if there.missing else ""
    text = f"  The same call on {there.label}: {there.currency} {_money(there.cost)}{missing}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _money(amount: Decimal) -> str:
    return f"{amount:.4f}" if amount >= Decimal("0.001") or not amount else f"{amount:.6f}"
