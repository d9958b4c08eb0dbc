"""From asking for an action in a running call to its effect on the line: the first sound of what is to be said, the last one of
an agent that is muted, the hang-up."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from benchmarks.calls import hold_call, make_job, predictable, prepare_database
from benchmarks.ends import ScriptedEnds
from benchmarks.report import Report, median, percentile
from calls.models import Call, CallCommand
from calls.resolving import scope_of_call
from calls.services.actions import Wanted, request_action
from voice_worker.entrypoint import Job

Kind = CallCommand.Kind
TARGET_MS = 300.0
WORDS = "We have just had a cancellation."
ENDLESS = "We are open from nine to five on every weekday, and on Saturday from ten to two, but never on a Sunday. " * 3
_LATEST_S = 8.0
_QUIET_S = 0.5


@dataclass(slots=True)
class Effects:
    say_ms: list[float] = field(default_factory=list)
    mute_ms: list[float] = field(default_factory=list)
    hang_up_ms: list[float] = field(default_factory=list)
    accepted_ms: list[float] = field(default_factory=list)


def _ask(call_id: UUID, wanted: Wanted) -> None:
    with scope_of_call(call_id):
        request_action(Call.objects.get(pk=call_id), wanted)


class _Caller:
    """Asks as the web process does, and listens on the line."""

    def __init__(self, job: Job, ends: ScriptedEnds, effects: Effects) -> None:
        self._job, self._ends, self._effects = job, ends, effects

    async def ask(self, kind: Kind, **fields: object) -> float:
        """The call second at which it was asked for."""
        asked = self._ends.clock.now()
        await asyncio.to_thread(_ask, self._job.call_id, Wanted(kind=kind, **fields))  # type: ignore[arg-type]
        self._effects.accepted_ms.append((self._ends.clock.now() - asked) * 1000)
        return asked

    async def say(self) -> None:
        await self.quiet()
        asked = await self.ask(Kind.SAY, text=WORDS)
        await self._ends.until(lambda: self._ends.speaks_since(asked), timeout_s=_LATEST_S)
        self._effects.say_ms.append(self._first_after(asked))

    async def mute(self) -> None:
        await self.ask(Kind.SAY, text=ENDLESS)
        await asyncio.sleep(1.5)
        asked = await self.ask(Kind.MUTE_AGENT)
        await self.quiet()
        self._effects.mute_ms.append((self._ends.audible[-1] - asked) * 1000)
        await self.ask(Kind.UNMUTE_AGENT)
        await asyncio.sleep(0.3)

    async def quiet(self) -> None:
        """Returns once nothing has sounded for a while."""
        await self._ends.until(lambda: not self._ends.speaks_since(self._ends.clock.now() - _QUIET_S), timeout_s=30)

    def _first_after(self, second: float) -> float:
        return next((at - second) * 1000 for at in self._ends.audible if at > second)


async def watch(jobs: Sequence[Job], *, rounds: int) -> Effects:
    effects = Effects()
    for job in jobs:

        async def script(ends: ScriptedEnds, job: Job = job) -> float:
            caller = _Caller(job, ends, effects)
            await ends.until(lambda: bool(ends.endings), timeout_s=10)
            for _ in range(rounds):
                await caller.say()
                await caller.mute()
            asked = await caller.ask(Kind.HANG_UP)
            await ends.hung_up.wait()
            return (ends.clock.now() - asked) * 1000

        took, _ = await hold_call(job, stages=predictable(), script=script)
        effects.hang_up_ms.append(took)
    return effects


def measure(*, calls: int, rounds: int) -> Report:
    limits = {"limits": {"max_duration_s": 3600, "silence_prompt_after_s": 60}}
    effects = asyncio.run(watch([make_job(settings=limits) for _ in range(calls)], rounds=rounds))
    report = Report("actions")
    measured = {"say → first sound": effects.say_ms, "mute → last sound": effects.mute_ms, "hang up": effects.hang_up_ms}
    for name, taken in measured.items():
        slowest = percentile(taken, 95)
        report.add(f"{name}: measured", len(taken))
        report.add(f"{name}: median", median(taken), "ms")
        report.add(f"{name}: p95", slowest, "ms", target=f"≤ {TARGET_MS:.0f}", ok=slowest <= TARGET_MS)
    report.add("of it until the action is accepted: p95", percentile(effects.accepted_ms, 95), "ms")
    report.details = {"say_ms": effects.say_ms, "mute_ms": effects.mute_ms, "hang_up_ms": effects.hang_up_ms}
    return report


def run(*, quick: bool = False, calls: int = 4, rounds: int = 12) -> Report:
    return measure(calls=1, rounds=1) if quick else measure(calls=calls, rounds=rounds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.actions", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short call, for a smoke test")
    parser.add_argument("--calls", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=12, help="of saying something and muting, in each call")
    options = parser.parse_args()
    prepare_database()
    return run(quick=options.quick, calls=options.calls, rounds=options.rounds).publish()


if __name__ == "__main__":
    sys.exit(main())
