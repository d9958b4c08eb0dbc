"""What handing a call over to a person comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from agents.transfers import Target

Outcome = Literal["joined", "declined", "busy", "voicemail", "no_answer", "failed", "closed", "caller_left"]


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one target."""

    target: Target
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class HandOver:
    """Who took the call, if anybody did, and everybody that was tried, in order."""

    joined: Target | None
    tried: Sequence[Tried]
    told: str = ""
    """What a caller whom nobody took has been told of it."""


class HandsOver(Protocol):
    async def hand_over(self, *, targets: Sequence[Target], reason: str, summary: str) -> HandOver:
        """Try one target after the other; returns when one has the call, none is left, or the caller has gone."""
