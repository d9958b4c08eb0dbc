"""What may be had of a call's far side besides sound: being put through, the staff coming in, and who takes the call over."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from livekit.agents import stt

from agents.transfers import Target
from voice_worker.answering import Heard
from voice_worker.handing import Outcome

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


class NotReachedError(Exception):
    """Nobody has taken the phone; `reason` is a word for why."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        self.outcome: Outcome = outcome
        self.reason = reason
        super().__init__(f"{outcome}: {reason}")


class Colleague(Protocol):
    """Somebody who was called into the call, and talks to the agent alone until they are joined with the caller."""

    identity: str
    left: asyncio.Event

    def listen(self, *, on_key: Told, on_words: Told) -> None:
        """Tells each key pressed, also those before this, and each stretch of words."""

    def heard(self) -> Heard:
        """Since they answered."""

    async def say(self, pcm: bytes) -> None:
        """Returns when it has sounded; cancelled, it falls silent at once."""


class Colleagues(Protocol):
    """Whom the caller may be handed over to. Nothing passes between a colleague and the caller before `join`."""

    caller_phone: str

    def detach(self) -> None:
        """The session hears nothing of the caller from now on."""

    def play_hold(self) -> None:
        """To the caller, until `attach` or `join`."""

    async def attach(self) -> None:
        """The agent has the caller again."""

    async def call(self, target: Target, *, identity: str, hearing: stt.STT) -> Colleague:
        """Returns when they have answered and the target's digits are pressed. Raises NotReachedError."""

    async def dismiss(self, identity: str, *, reason: str) -> None:
        """Hang up on them, whether they have answered or not."""

    async def join(self, colleague: Colleague) -> bool:
        """They and the caller hear each other, and talk on when the agent leaves; False when the call has ended meanwhile."""
