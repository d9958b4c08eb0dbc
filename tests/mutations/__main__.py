"""Take out every tenant filter, scope and check of a key in turn; a test has to notice each.

Runs on a PostgreSQL and Valkey that are there: make mutate ARGS="--only calls/api --jobs 2".
"""

import argparse
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue

import django

django.setup()

from tests.mutations.equivalents import why_equivalent  # noqa: E402
from tests.mutations.finding import Mutant, find_all  # noqa: E402
from tests.mutations.running import BROKEN, MATRIX, SURVIVED, Copy, copied, tests_of  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.mutations", description=__doc__)
    parser.add_argument("--only", default="", help="a regular expression: mutants whose line in the table has it")
    parser.add_argument("--jobs", type=int, default=1, help="how many run at once, each with a database of its own")
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    options = parser.parse_args()
    mutants = [mutant for mutant in find_all() if re.search(options.only, mutant.name)]
    if options.list:
        say(*(mutant.name for mutant in mutants))
        return 0
    outcomes = dict(run_all(mutants, jobs=options.jobs))
    alive = [mutant for mutant, outcome in outcomes.items() if outcome == SURVIVED]
    unexplained = [mutant for mutant in alive if not why_equivalent(mutant)]
    broken = [mutant for mutant, outcome in outcomes.items() if outcome.startswith(BROKEN)]
    killed = len(mutants) - len(alive) - len(broken)
    say(f"{len(mutants)} mutants: {killed} killed, {len(alive) - len(unexplained)} equivalent, {len(broken)} broken")
    say(f"{len(unexplained)} survived", *(f"  {mutant.name}" for mutant in unexplained))
    return 1 if unexplained or broken or not mutants else 0


def run_all(mutants: list[Mutant], *, jobs: int) -> Iterator[tuple[Mutant, str]]:
    free: SimpleQueue[Copy] = SimpleQueue()

    def run(mutant: Mutant) -> tuple[Mutant, str]:
        copy = free.get()
        try:
            return mutant, copy.outcome_of(mutant)
        finally:
            free.put(copy)

    with ExitStack() as stack, ThreadPoolExecutor(jobs) as pool:
        copies = [stack.enter_context(copied(number)) for number in range(jobs)]
        tests = sorted({test for mutant in mutants for test in tests_of(mutant)})
        if (outcome := copies[0].run(tests, kept=False)) != SURVIVED:
            sys.exit(f"Without any mutation a test fails: {outcome}")
        for copy in copies:
            if copy is not copies[0]:
                copy.run([MATRIX, "-k", "table"], kept=False)
            free.put(copy)
        for mutant, outcome in pool.map(run, mutants):
            say(f"{mutant.name}  →  {outcome if outcome != SURVIVED else why_equivalent(mutant) or SURVIVED}")
            yield mutant, outcome


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
