"""CPU per turn of the worker's session against a bare AgentSession with the same parts, in turns, on one process."""

import argparse
import asyncio
import statistics
import sys

from benchmarks.calls import hold_bare, hold_call, make_job, predictable, prepare_database
from benchmarks.report import Report, median, percentile
from benchmarks.turns import Turns, take_turns
from voice_worker.entrypoint import Job

TARGET = 1.15
"""docs/adr/0005 says what the difference buys."""


async def ours(job: Job, *, turns: int) -> Turns:
    found, outcome = await hold_call(job, stages=predictable(), script=lambda ends: take_turns(ends, count=turns))
    if outcome is None or outcome.reason != "caller_hung_up":
        raise RuntimeError(f"the call ended with {outcome}")
    return found


async def bare(*, turns: int) -> Turns:
    return await hold_bare(stages=predictable(), script=lambda ends: take_turns(ends, count=turns))


async def alternate(jobs: list[Job], *, turns: int) -> list[tuple[Turns, Turns]]:
    """Rounds of (ours, bare); each goes first in every other round."""
    rounds = []
    for number, job in enumerate(jobs):
        if number % 2:
            other = await bare(turns=turns)
            rounds.append((await ours(job, turns=turns), other))
        else:
            own = await ours(job, turns=turns)
            rounds.append((own, await bare(turns=turns)))
    return rounds


def measure(*, rounds: int, turns: int, warm: bool = True) -> Report:
    jobs = [make_job() for _ in range(rounds + warm)]
    found = asyncio.run(alternate(jobs, turns=turns))[1 if warm else 0 :]
    own, other = ([pair[index].cpu_ms_per_turn for pair in found] for index in (0, 1))
    ratio = median(own) / median(other)
    report = Report("session_cpu")
    report.add("our session", median(own), "ms/turn")
    report.add("bare session", median(other), "ms/turn")
    report.add("ratio of medians", ratio, "×", target=f"≤ {TARGET:.2f}", ok=ratio <= TARGET)
    report.add("median of the rounds' ratios", median([a / b for a, b in zip(own, other, strict=True)]), "×")
    for name, index in (("our", 0), ("bare", 1)):
        gaps = [gap for pair in found for gap in pair[index].gaps_ms]
        report.add(f"{name} response gap, median / p95", f"{median(gaps):.0f} / {percentile(gaps, 95):.0f}", "ms")
    spread = max(statistics.pstdev(values) / median(values) for values in (own, other))
    report.notes.append(f"{len(found)} rounds of {turns} turns each, in turns; largest spread between rounds {spread:.0%}")
    report.details = {"ours_ms": own, "bare_ms": other}
    return report


def run(*, quick: bool = False, rounds: int = 6, turns: int = 10) -> Report:
    return measure(rounds=1, turns=1, warm=False) if quick else measure(rounds=rounds, turns=turns)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.session_cpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, for a smoke test")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    prepare_database()
    return run(quick=options.quick, rounds=options.rounds, turns=options.turns).publish()


if __name__ == "__main__":
    sys.exit(main())
