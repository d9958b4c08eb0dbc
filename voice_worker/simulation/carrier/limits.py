"""How many calls the carrier takes in a second, and at the same time."""

import time
from collections import deque
from collections.abc import Callable

from voice_worker.simulation.carrier.answers import refusal
from voice_worker.simulation.carrier.book import Limits


class Gate:
    """Counts the INVITEs it takes in each rolling second; a refused one uses up nothing."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._taken: deque[float] = deque()
        self._running: set[str] = set()

    def take(self, leg_id: str) -> None:
        """One more call. Raises RpcError."""
        now, limits = self._clock(), self._limits
        while self._taken and now - self._taken[0] >= 1.0:
            self._taken.popleft()
        if limits.cps is not None and len(self._taken) >= limits.cps:
            raise refusal(limits.status, limits.cps_text)
        if limits.concurrent is not None and len(self._running) >= limits.concurrent:
            raise refusal(limits.status, limits.concurrent_text)
        self._taken.append(now)
        self._running.add(leg_id)

    def free(self, leg_id: str) -> None:
        self._running.discard(leg_id)
