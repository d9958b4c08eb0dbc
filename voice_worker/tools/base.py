"""What a tool is given and what it gives back."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from livekit.agents.voice import SpeechHandle

from voice_worker.handing import HandOver

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """`output` is what the model sees; with `say`, the exact words to speak. Without `reply` nobody answers it."""

    status: Literal["ok", "refused", "error"]
    output: Mapping[str, Any]
    reply: bool = True


class Desk(Protocol):
    """What the conversation lets tools do; the tenant and the call are fixed, whatever the model says."""

    def caller_said(self) -> Sequence[str]:
        """The caller's utterances so far, oldest first."""

    def feature(self, key: str) -> Mapping[str, Any] | None:
        """A feature's configuration as it is now; None while it is off."""

    def is_silenced(self) -> bool:
        """Whether the agent may neither speak nor act at the moment."""

    async def keep(self, entry: Mapping[str, Any]) -> None:
        """Store a journal entry; it survives a crash once this returns. Raises OSError."""

    def hang_up_after(self, speech: SpeechHandle) -> None:
        """End the call as soon as this speech has been heard."""

    async def press_keys(self, digits: str) -> None:
        """Press keys of the phone. Raises NoKeysError where there is none."""

    async def hand_over(self, *, chosen: str, reason: str, summary: str) -> HandOver:
        """Hand the caller over to the target called `chosen`, or else to another. Raises NobodyHereError without a phone."""

    def show_keys(self, keys: str) -> str:
        """Keys as they may be shown; what that hides is hidden wherever it is repeated."""

    def pause_recording(self) -> bool:
        """Keep nothing of what is said from here on; False where there is nothing to pause."""

    def resume_recording(self) -> bool: ...

    @property
    def is_paused(self) -> bool: ...

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write down what happened, without waiting. Words of a pause are left out."""

    def now_iso(self) -> str: ...

    def now_ms(self) -> int:
        """Milliseconds on the call clock."""


@dataclass(slots=True)
class Use:
    """One use of a tool. `memory` lasts for the call and belongs to the tool alone."""

    desk: Desk
    config: Mapping[str, Any]
    memory: dict[str, Any]
    speech: SpeechHandle


Tool = Callable[[Arguments, Use], Awaitable[Result]]


def ok(**output: Any) -> Result:
    return Result(status="ok", output={"ok": True, **output})


def refused(**output: Any) -> Result:
    return Result(status="refused", output={"ok": False, **output})
