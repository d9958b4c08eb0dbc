"""What the independent check looks at, as plain data, and what it answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
Transcribe = Callable[[Pcm, int], Awaitable[str]]
"""Turns int16 mono samples at a sample rate into text; silence gives an empty string."""


@dataclass(frozen=True, slots=True)
class StoredTurn:
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class StoredMessage:
    caller_name: str
    phone: str
    reason: str


@dataclass(frozen=True, slots=True)
class StoredUsage:
    kind: str
    unit: str
    quantity: Decimal
    cost: Decimal | None
    rate_price: Decimal | None
    rate_per: Decimal | None


@dataclass(frozen=True, slots=True)
class PersonaWords:
    """What the persona's own log says it spoke; `name` and `phone` are set when it wanted a message taken."""

    lines: tuple[str, ...]
    name: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class CheckedCall:
    """Stored rows, the recording and the persona's log of one ended call.

    `knowledge` is what the agent was told, a fact or sentence per line.
    """

    disposition: str
    ended_reason: str
    turns: tuple[StoredTurn, ...]
    messages: tuple[StoredMessage, ...]
    usage: tuple[StoredUsage, ...]
    cost: Decimal | None
    knowledge: tuple[str, ...]
    persona: PersonaWords
    recording: Path | None

    def words_of(self, speaker: str) -> str:
        return " ".join(turn.text for turn in self.turns if turn.speaker == speaker)


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    results: tuple[Result, ...]

    @property
    def holds(self) -> bool:
        return all(result.ok for result in self.results)
