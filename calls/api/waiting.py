"""Places for requests that wait. Whoever waits holds a thread of the web process, and others need some."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final
from uuid import UUID

from voiceplatform.lib.api.problems import Refusal, declare

PLACES: Final = 4
PLACES_OF_A_KEY: Final = 2
RETRY_AFTER_S: Final = 2
TOO_MANY: Final = declare(
    "too_many_waiting", "Too many requests wait already. Ask again as Retry-After says, or without waiting."
)


class Waiting:
    """Counts who waits, by API key."""

    def __init__(self, *, places: int = PLACES, places_of_a_key: int = PLACES_OF_A_KEY) -> None:
        self._places, self._places_of_a_key = places, places_of_a_key
        self._held: Counter[UUID | None] = Counter()
        self._lock = Lock()

    @contextmanager
    def place(self, key_id: UUID | None = None) -> Iterator[bool]:
        """Says whether there was one; it is given back at the end of the block. Without a key, only the places of all count."""
        with self._lock:
            crowded = key_id is not None and self._held[key_id] >= self._places_of_a_key
            got = self._held.total() < self._places and not crowded
            self._held[key_id] += got
        try:
            yield got
        finally:
            with self._lock:
                self._held[key_id] -= got
                if not self._held[key_id]:
                    del self._held[key_id]


WAITING: Final = Waiting()


def no_place() -> Refusal:
    detail = "Too many requests wait already, of this API key or of all together."
    return Refusal(429, TOO_MANY, detail, headers={"Retry-After": str(RETRY_AFTER_S)})
