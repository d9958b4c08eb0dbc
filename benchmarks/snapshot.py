"""What it costs to read a call's configuration from the database: queries, time, and the wait until the greeting sounds."""

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from functools import partial
from unittest.mock import patch

from django.db import connections

from benchmarks.calls import hold_call, make_job, predictable, prepare_database
from benchmarks.ends import ScriptedEnds
from benchmarks.report import Report, median, percentile
from benchmarks.sql import watched_sql
from calls.services.claiming import claim_call
from voice_worker import entrypoint
from voice_worker.database import in_database
from voice_worker.entrypoint import Job
from voice_worker.snapshot import CallSnapshot, load_snapshot

MORE_MS, QUERIES = 15.0, 3


async def claim_and_load(job: Job) -> tuple[int, float, float]:
    """Queries of the snapshot, milliseconds of claim and snapshot."""
    began = time.perf_counter()
    await in_database(partial(claim_call, call_id=job.call_id, job_id=job.job_id, host_id=job.host_id))
    claimed = time.perf_counter()
    with watched_sql() as statements:
        await in_database(partial(load_snapshot, job.call_id))
    return len(statements.seen), (claimed - began) * 1000, (time.perf_counter() - claimed) * 1000


async def until_greeting(job: Job, *, constants: bool) -> float:
    """Milliseconds from the job's first step to the first audible sample of its greeting."""
    known = await asyncio.to_thread(_claimed_and_read, job) if constants else None
    with _given(known) if known else contextlib.nullcontext():
        began = time.perf_counter()
        ends, _ = await hold_call(job, stages=predictable(), script=_hear_greeting)
    if ends.first_frame_at is None:
        raise RuntimeError("the greeting was not heard")
    return (ends.first_frame_at - began) * 1000


async def _hear_greeting(ends: ScriptedEnds) -> ScriptedEnds:
    await ends.until(lambda: ends.first_frame_at is not None, timeout_s=20)
    return ends


def _claimed_and_read(job: Job) -> CallSnapshot:
    try:
        claim_call(call_id=job.call_id, job_id=job.job_id, host_id=job.host_id)
        return load_snapshot(job.call_id)
    finally:
        connections.close_all()


@contextlib.contextmanager
def _given(known: CallSnapshot) -> Iterator[None]:
    """The job finds its call claimed and its configuration read."""

    async def at_once(step: "partial[object]", **_: object) -> object:
        return True if step.func is claim_call else known

    with patch.object(entrypoint, "in_database", at_once):
        yield


async def load_all(jobs: list[Job]) -> list[tuple[int, float, float]]:
    return [await claim_and_load(job) for job in jobs]


async def greet_all(pairs: list[tuple[Job, Job]]) -> list[tuple[float, float]]:
    """(from the database, from constants), each first in every other pair."""
    found = []
    for number, (one, other) in enumerate(pairs):
        if number % 2:
            given = await until_greeting(other, constants=True)
            found.append((await until_greeting(one, constants=False), given))
        else:
            read = await until_greeting(one, constants=False)
            found.append((read, await until_greeting(other, constants=True)))
    return found


def measure(*, loads: int, rounds: int, warm: int = 2) -> Report:
    loaded = asyncio.run(load_all([make_job() for _ in range(loads + 1)]))[1:]
    greeted = asyncio.run(greet_all([(make_job(), make_job()) for _ in range(rounds + warm)]))[warm:]
    queries, more_ms = max(count for count, _, _ in loaded), median([a for a, _ in greeted]) - median([b for _, b in greeted])
    report = Report("snapshot")
    report.add("queries of the snapshot", queries, target=f"≤ {QUERIES}", ok=queries <= QUERIES)
    for name, index in (("claim", 1), ("claimed to snapshot", 2)):
        times = [each[index] for each in loaded]
        report.add(f"{name}, median / p95", f"{median(times):.1f} / {percentile(times, 95):.1f}", "ms")
    for name, index in (("from the database", 0), ("from constants", 1)):
        times = [pair[index] for pair in greeted]
        report.add(f"entry to greeting {name}, median / p95", f"{median(times):.0f} / {percentile(times, 95):.0f}", "ms")
    report.add("difference of medians", more_ms, "ms", target=f"≤ {MORE_MS:.0f}", ok=more_ms <= MORE_MS)
    report.notes.append(f"{len(loaded)} loads, {len(greeted)} pairs of calls in turns")
    report.details = {"loads": loaded, "greetings": greeted}
    return report


def run(*, quick: bool = False, loads: int = 30, rounds: int = 20) -> Report:
    return measure(loads=1, rounds=1, warm=0) if quick else measure(loads=loads, rounds=rounds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.snapshot", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one of each, for a smoke test")
    parser.add_argument("--loads", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    prepare_database()
    return run(quick=options.quick, loads=options.loads, rounds=options.rounds).publish()


if __name__ == "__main__":
    sys.exit(main())
