"""The far side of a call: its sound and keys, being put through, the staff coming in, and who takes the call over."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from livekit.agents import stt
from livekit.agents.voice import io

from agents.transfers import Target
from voice_worker.answering import Heard
from voice_worker.audio import Tap
from voice_worker.handing import Outcome
from voice_worker.keys import Keys
from voice_worker.overhearing import Words

Told = Callable[[str], None]
Said = Callable[[Words], None]


class NotPutThroughError(Exception):
    """The other side is still in the call; `reason` is a word for why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Refer(Protocol):
    async def __call__(self, phone: str) -> None:
        """Returns once they are connected with `phone`. Raises NotPutThroughError."""


class Supervisors(Protocol):
    def listen(self, *, joined: Told, left: Told, said: Said, hearing: Callable[[], stt.STT]) -> None:
        """Tells the identity of each who comes and goes, also of those who are there, and what they say."""

    def add_tap(self, tap: Tap) -> None:
        """It hears them as it hears the agent, in whose place they speak."""


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

    async def are_refused(self, target: Target) -> bool:
        """Whether the target may not be put through to any more."""

    async def call(self, target: Target, *, identity: str, hearing: stt.STT) -> Colleague:
        """Returns when they have answered and the target's digits are pressed. Raises NotReachedError."""

    async def dismiss(self, identity: str, *, reason: str) -> None:
        """Hang up on them, whether they have answered or not."""

    async def join(self, colleague: Colleague) -> bool:
        """They and the caller hear each other, and talk on when the agent leaves; False when the call has ended meanwhile."""


class CallEnds(Protocol):
    """The far side of a call as the session sees it; `left` is set once the far end has hung up.

    Without `keys` and `refer`, it is no phone; without `supervisors`, nobody of the staff can come in; without `colleagues`,
    nobody can be called to take the call over.
    """

    audio_input: io.AudioInput
    audio_output: io.AudioOutput
    left: asyncio.Event
    left_reason: str
    keys: Keys | None
    refer: Refer | None
    supervisors: Supervisors | None
    colleagues: Colleagues | None

    def add_tap(self, tap: Tap) -> None: ...

    async def start(self) -> None: ...

    async def hang_up(self) -> None: ...

    async def aclose(self) -> None: ...
