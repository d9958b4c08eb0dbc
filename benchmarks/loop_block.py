"""The longest time anything holds the event loop in 100 turns with tools, and on which threads SQL ran."""

import argparse
import asyncio
import sys
import threading
from dataclasses import asdict, dataclass, field

from benchmarks.blocks import Block, Blocks, watched_loop
from benchmarks.calls import REPLY, hold_call, make_job, predictable, prepare_database
from benchmarks.report import Report
from benchmarks.sql import Statements, watched_sql
from benchmarks.turns import take_turns
from calls.models import Call
from tenants.scope import tenant_scope
from voice_worker.entrypoint import Job
from voice_worker.providers.constant import Rule

TARGET_MS = 20.0
MESSAGE_SAYS = "Please take a message. I am Maria Lopez, my number is 512 555 0143, it is about my insurance."
MESSAGE = Rule(
    hears="message",
    tool="take_message",
    arguments={"caller_name": "Maria Lopez", "phone": "512 555 0143", "reason": "my insurance"},
)
TOOL_EVERY = 3


@dataclass(slots=True)
class Watched:
    turns: int = 0
    loop_thread: int = 0
    blocks: Blocks = field(default_factory=Blocks)
    statements: Statements = field(default_factory=Statements)


async def watch(jobs: list[Job], *, turns: int) -> Watched:
    """Calls one after the other, from their claim to their last record."""
    watched = Watched(loop_thread=threading.get_ident())
    said = [MESSAGE_SAYS if number % TOOL_EVERY == 0 else "What time do you open?" for number in range(turns)]
    with watched_loop() as watched.blocks, watched_sql() as watched.statements:
        for job in jobs:
            stages = predictable(texts=said, rules=(MESSAGE, REPLY))
            found, _ = await hold_call(job, stages=stages, script=lambda ends: take_turns(ends, count=turns))
            watched.turns += len(found.gaps_ms)
    return watched


def measure(*, calls: int, turns: int) -> Report:
    jobs = [make_job() for _ in range(calls)]
    watched = asyncio.run(watch(jobs, turns=turns))
    longest, longest_cpu = watched.blocks.longest, watched.blocks.longest_cpu
    on_loop = watched.statements.on_thread(watched.loop_thread)
    report = Report("loop_block")
    report.add("turns", watched.turns)
    report.add("uses of tools", _tools_used(jobs))
    report.add("longest block", longest.wall_s * 1000, "ms", target=f"≤ {TARGET_MS:.0f}", ok=longest.wall_s * 1000 <= TARGET_MS)
    report.add("of it computing", longest.cpu_s * 1000, "ms")
    report.add("blocks longer than the target", watched.blocks.longer_than(TARGET_MS / 1000))
    report.add("longest computing", longest_cpu.cpu_s * 1000, "ms")
    report.add("SQL statements on the loop's thread", len(on_loop), target="0", ok=not on_loop)
    report.add("SQL statements on other threads", len(watched.statements.seen) - len(on_loop))
    report.notes += [f"longest: {_described(longest)}", f"longest computing: {_described(longest_cpu)}"]
    report.details = {
        "callbacks": watched.blocks.callbacks,
        "sql_by_thread": watched.statements.by_thread,
        "sql_on_loop": on_loop[:20],
        "blocks": [asdict(block) for block in sorted(watched.blocks.noted, key=lambda block: -block.wall_s)[:50]],
    }
    return report


def _described(block: Block) -> str:
    return " < ".join(reversed(block.stack[-6:])) or block.what


def _tools_used(jobs: list[Job]) -> int:
    used = 0
    for job in jobs:
        call = Call.all_objects.get(pk=job.call_id)
        with tenant_scope(call.tenant_id):
            used += call.tool_calls.count()
    return used


def run(*, quick: bool = False, calls: int = 4, turns: int = 25) -> Report:
    return measure(calls=1, turns=1) if quick else measure(calls=calls, turns=turns)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.loop_block", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short call, for a smoke test")
    parser.add_argument("--calls", type=int, default=4)
    parser.add_argument("--turns", type=int, default=25, help="turns in each call")
    options = parser.parse_args()
    prepare_database()
    return run(quick=options.quick, calls=options.calls, turns=options.turns).publish()


if __name__ == "__main__":
    sys.exit(main())
