"""Which kinds of long work there are, and registering who does them.

Kinds are names only, so that asking for a job loads no other app. Working on jobs is in `tenants/services/jobs.py`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tenants.errors import UnknownJobError
from tenants.models import Job

LEADS: Final = "leads.import"
SUPPRESSIONS: Final = "suppressions.import"
REPLAY: Final = "webhooks.replay"

KINDS: Final[Mapping[str, str]] = {
    LEADS: "Import of leads",
    SUPPRESSIONS: "Import of numbers not to call",
    REPLAY: "Replay of webhooks",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What is done in one transaction: `size` of the job's total. The next step begins at `position`."""

    position: str
    size: int
    work: Any


@dataclass(frozen=True, slots=True)
class Problem:
    """A row of the input that was refused; `field` is empty when it is the row as a whole."""

    row: int
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a step. `counts` are added up in the job's result."""

    counts: Mapping[str, int]
    problems: Sequence[Problem] = field(default=())


@dataclass(frozen=True, slots=True)
class Handler:
    """`steps` gives what is left of a job from its position on, and may wait for a disk or a network. `apply` does one
    step, in the transaction that notes it as done, and raises JobFailedError when the job can never go on. `count` gives
    the total of a job that was asked for without one."""

    steps: Callable[[Job], Iterator[Step]]
    apply: Callable[[Job, Step], Outcome]
    count: Callable[[Job], int] | None = None


HANDLERS: Final[dict[str, Handler]] = {}


def job_handler(kind: str, handler: Handler) -> None:
    """Register who does the jobs of a kind. Both functions run in the scope of the job's tenant."""
    if kind not in KINDS:
        raise UnknownJobError(f"tenants/jobs.py does not name the kind of job {kind!r}")
    HANDLERS[kind] = handler
