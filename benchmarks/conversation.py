"""Whole conversations on the local models: do callers get what they want, is anything invented, how long do they wait?"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from agents.models import Agent
from agents.personas import PERSONAS
from benchmarks.calls import prepare_database
from benchmarks.onsets import Onsets, gap_errors_ms, summary_of
from benchmarks.report import Report, median, percentile
from calls.models import Call, Turn
from calls.resolving import scope_of_call
from calls.services import place_call
from calls.services.hosts import register_host, retire_host
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker.audio import CallClock
from voice_worker.checking import NotCheckableError, checked_call
from voice_worker.entrypoint import Append, Job, run_call
from voice_worker.far_ends import persona_ends, persona_log
from voice_worker.line import CallEnds
from voice_worker.simulation.check import CheckedCall, CheckReport, check
from voice_worker.simulation.log import read_log
from voice_worker.simulation.speech import SpeechClient
from voice_worker.snapshot import CallSnapshot
from voiceplatform.demo.seed import TENANT_SLUG, seed_demo

GOALS_SHARE, ERROR_MEDIAN_MS, ERROR_MAX_MS = 0.9, 60, 200
_INVENTION = "hours and prices"


@dataclass(slots=True)
class Run:
    persona: str
    number: int
    call_id: UUID
    seconds: float = 0.0
    ended: str = ""
    missed: list[str] = field(default_factory=list)
    failed_checks: dict[str, str] = field(default_factory=dict)
    gaps_ms: list[float] = field(default_factory=list)
    errors_ms: list[float] = field(default_factory=list)
    transcript: str = ""

    @property
    def reached(self) -> bool:
        return not self.missed and bool(self.ended)


def place(agent_id: str, *, persona: str) -> Job:
    with tenant_scope(Tenant.objects.get(slug=TENANT_SLUG)):
        host = register_host(name=f"benchmark-{persona}", transport="local", slots=1)
        call = place_call(agent=Agent.objects.get(pk=agent_id), kind=Call.Kind.SIMULATED, persona=persona, host=host)
    return Job(call_id=call.pk, job_id=f"benchmark-{call.pk}", host_id=host.pk)


async def hold(job: Job) -> Onsets:
    """The call, as any host holds it, with one more listener on the line."""
    onsets, connect = Onsets(), persona_ends()

    async def connect_and_listen(snapshot: CallSnapshot, clock: CallClock, append: Append) -> CallEnds:
        ends = await connect(snapshot, clock, append)
        ends.add_tap(onsets)
        return ends

    await run_call(job, ends=connect_and_listen)
    return onsets


def checked(job: Job) -> dict[str, str]:
    """The checks that do not hold, with their reasons."""
    try:
        with checked_call(job.call_id) as call:
            report = asyncio.run(_hear_and_check(call))
    except (NotCheckableError, Call.DoesNotExist) as error:
        return {"check": str(error)}
    return {result.name: result.detail for result in report.results if not result.ok}


async def _hear_and_check(call: CheckedCall) -> CheckReport:
    client = SpeechClient(settings.VP_SPEECH_URL)
    try:
        return await check(call, client.transcribe)
    finally:
        await client.aclose()


def converse(agent_id: str, *, persona: str, number: int, folder: Path) -> Run:
    job = place(agent_id, persona=persona)
    run = Run(persona=persona, number=number, call_id=job.call_id)
    began = time.monotonic()
    onsets = asyncio.run(hold(job))
    run.seconds = time.monotonic() - began
    retire_host(host_id=job.host_id)
    with scope_of_call(job.call_id):
        call = Call.objects.get(pk=job.call_id)
        turns = list(Turn.objects.filter(call=call).order_by("sequence"))
    run.ended = f"{call.disposition} ({call.ended_reason}) {call.ended_detail}".strip()
    run.gaps_ms = [turn.metrics["response_gap"] for turn in turns if "response_gap" in turn.metrics]
    log = persona_log(job.call_id)
    if log.is_file():
        account = read_log(log)
        run.missed = list(account.missed)
        run.errors_ms = gap_errors_ms(turns, onsets=onsets.at, spoken=account.spoken)
    else:
        run.missed = ["everything: there is no log of the caller"]
    run.failed_checks = checked(job)
    run.transcript = str(_write(run, turns=turns, log=log, folder=folder))
    return run


def _write(run: Run, *, turns: Sequence[Any], log: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run.persona}-{run.number}.txt"
    lines = [f"call {run.call_id}: {run.ended}; {run.seconds:.0f} s; caller's log {log}"]
    lines += [f"goal missed: {goal}" for goal in run.missed]
    lines += [f"check fails: {name}: {detail}" for name, detail in run.failed_checks.items()]
    for turn in turns:
        cut = " [interrupted]" if turn.interrupted else ""
        lines.append(f"{(turn.started_ms or 0) / 1000:7.1f} {turn.speaker:<6} {turn.text}{cut} {turn.metrics or ''}".rstrip())
    path.write_text("\n".join(lines) + "\n")
    return path


def report_on(runs: Sequence[Run]) -> Report:
    report = Report("conversation")
    reached = sum(run.reached for run in runs)
    wanted = -(-len(runs) * GOALS_SHARE // 1)
    report.add("runs with all goals reached", f"{reached} of {len(runs)}", target=f"≥ {wanted:.0f}", ok=reached >= wanted)
    for persona in dict.fromkeys(run.persona for run in runs):
        of = [run for run in runs if run.persona == persona]
        report.add(f"  {persona}", f"{sum(run.reached for run in of)} of {len(of)}")
    invented = sum(_INVENTION in run.failed_checks for run in runs)
    report.add("runs with an invented number or fact", invented, target="0", ok=not invented)
    report.add("runs in which the whole check holds", f"{sum(not run.failed_checks for run in runs)} of {len(runs)}")
    gaps = [gap for run in runs for gap in run.gaps_ms]
    report.add("response gap, median / p95", f"{median(gaps):.0f} / {percentile(gaps, 95):.0f}", "ms")
    errors = [error for run in runs for error in run.errors_ms]
    middle, largest = summary_of(errors)
    report.add(
        "error of the ears, median", middle, "ms", target=f"≤ {ERROR_MEDIAN_MS}", ok=bool(errors) and middle <= ERROR_MEDIAN_MS
    )
    report.add(
        "error of the ears, largest", largest, "ms", target=f"≤ {ERROR_MAX_MS}", ok=bool(errors) and largest <= ERROR_MAX_MS
    )
    report.add("seconds of a call, median", median([run.seconds for run in runs]), "s")
    report.notes += [_failure(run) for run in runs if not run.reached or run.failed_checks]
    report.notes.append(f"{len(gaps)} response gaps, {len(errors)} held against the caller's clock")
    report.details = {"runs": [asdict(run) for run in runs]}
    return report


def _failure(run: Run) -> str:
    reasons = [f"missed {goal}" for goal in run.missed] + [f"{name}: {detail}" for name, detail in run.failed_checks.items()]
    return f"{run.persona} {run.number}: {run.ended}; {'; '.join(reasons)} ({run.transcript})"


def run_all(*, runs: int, personas: Sequence[str]) -> Report:
    seeded = seed_demo(llm="local", small_brain=settings.VP_BRAIN == "small")
    folder = Path(settings.VP_HOME) / "benchmarks" / f"conversation-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    done: list[Run] = []
    for number in range(1, runs + 1):
        for persona in personas:
            run = converse(seeded.agent_id, persona=persona, number=number, folder=folder)
            done.append(run)
            verdict = "reached" if run.reached else f"missed {', '.join(run.missed)}"
            failed = f", check fails: {', '.join(run.failed_checks)}" if run.failed_checks else ""
            print(f"  {persona} {number}: {run.ended}, {run.seconds:.0f} s, {verdict}{failed}", flush=True)
    return report_on(done)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.conversation", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="calls of each persona")
    parser.add_argument("--persona", action="append", choices=[*PERSONAS], help="only this persona; may be given again")
    options = parser.parse_args()
    prepare_database()
    return run_all(runs=options.runs, personas=options.persona or [*PERSONAS]).publish()


if __name__ == "__main__":
    sys.exit(main())
