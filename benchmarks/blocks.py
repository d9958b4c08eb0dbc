"""How long the callbacks of an event loop hold it, and what the long ones were doing."""

import sys
import threading
import time
import traceback
from asyncio.events import Handle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

NOTED_FROM_S = 0.003
_LOOKED_AT_AFTER_S = 0.010
_FRAMES = 12


@dataclass(frozen=True, slots=True)
class Block:
    """`cpu_s` is what the loop's own thread computed; the rest it waited for the interpreter or for a processor."""

    wall_s: float
    cpu_s: float
    what: str
    stack: tuple[str, ...] = ()


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

    def longer_than(self, seconds: float) -> int:
        return sum(block.wall_s > seconds for block in self.noted)


class _Looker(threading.Thread):
    """Looks, once, at what a callback is doing that has run for 10 ms."""

    def __init__(self) -> None:
        super().__init__(name="looker", daemon=True)
        self.running_since = 0.0
        self.stack: tuple[str, ...] = ()
        self._loop_thread = threading.get_ident()
        self._over = threading.Event()

    def run(self) -> None:
        looked_at = 0.0
        while not self._over.wait(_LOOKED_AT_AFTER_S / 2):
            since = self.running_since
            if since and since != looked_at and time.perf_counter() - since >= _LOOKED_AT_AFTER_S:
                looked_at = since
                frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001
                found = traceback.extract_stack(frame)[-_FRAMES:] if frame else []
                self.stack = tuple(f"{each.filename.rsplit('/', 3)[-1]}:{each.lineno} {each.name}" for each in found)

    def stop(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def watched_loop() -> Iterator[Blocks]:
    """Times each callback of the loop that runs in this thread."""
    blocks, looker = Blocks(), _Looker()
    run = Handle._run  # noqa: SLF001

    def timed(self: Handle) -> None:
        wall, cpu = time.perf_counter(), time.thread_time()
        looker.stack, looker.running_since = (), wall
        run(self)
        looker.running_since = 0.0
        took = time.perf_counter() - wall
        blocks.callbacks += 1
        if took >= NOTED_FROM_S:
            blocks.noted.append(Block(wall_s=took, cpu_s=time.thread_time() - cpu, what=repr(self)[:160], stack=looker.stack))

    looker.start()
    with patch.object(Handle, "_run", timed):
        try:
            yield blocks
        finally:
            looker.stop()
