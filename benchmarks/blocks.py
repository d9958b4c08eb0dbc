"""How long the callbacks of an event loop hold it."""

import time
from asyncio.events import Handle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

NOTED_FROM_S = 0.003


@dataclass(frozen=True, slots=True)
class Block:
    """`cpu_s` is what the loop's own thread computed; the rest it waited for the interpreter or for a processor."""

    wall_s: float
    cpu_s: float
    what: str


@dataclass(slots=True)
class Blocks:
    callbacks: int = 0
    noted: list[Block] = field(default_factory=list)

    @property
    def longest(self) -> Block:
        return max(self.noted, key=lambda block: block.wall_s, default=Block(0.0, 0.0, "none"))

    @property
    def longest_cpu(self) -> Block:
        return max(self.noted, key=lambda block: block.cpu_s, default=Block(0.0, 0.0, "none"))


@contextmanager
def watched_loop() -> Iterator[Blocks]:
    """Times each callback of the loops of this process."""
    blocks = Blocks()
    run = Handle._run  # noqa: SLF001

    def timed(self: Handle) -> None:
        wall, cpu = time.perf_counter(), time.thread_time()
        run(self)
        took = time.perf_counter() - wall
        blocks.callbacks += 1
        if took >= NOTED_FROM_S:
            blocks.noted.append(Block(wall_s=took, cpu_s=time.thread_time() - cpu, what=repr(self)[:240]))

    with patch.object(Handle, "_run", timed):
        yield blocks
