"""What may be had of a call's far side besides sound: being put through, and the staff coming in."""

from collections.abc import Callable
from typing import Protocol

Told = Callable[[str], None]


class NotPutThroughError(Exception):
    """The other side is still in the call; `reason` is a word for why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Refer(Protocol):
    async def __call__(self, phone: str) -> None:
        """Returns once they are connected with `phone`. Raises NotPutThroughError."""


class Supervisors(Protocol):
    def listen(self, *, joined: Told, left: Told) -> None:
        """Tells the identity of each who comes and goes, also of those who are there."""
