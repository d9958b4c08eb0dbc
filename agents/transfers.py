"""Whom an agent may hand a call to, as a job is given it."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

RINGS_S: Final = 25
HOLD_SENTENCE: Final = "One moment please, I am getting somebody for you."
BACK_SENTENCE: Final = "I am sorry, nobody can take your call right now."


class Target(BaseModel):
    """A phone where somebody takes calls over.

    A person confirms by a key or by saying yes; a queue of a telephone system just answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    kind: Literal["person", "queue"] = "person"
    when: str = ""
    """For the model: what it is to be handed over for."""
    phone: str
    """E.164."""
    digits: str = ""
    """Pressed after the answer, before anything is said: an extension."""
    mode: Literal["warm", "blind"] = "warm"
    ring_s: int = Field(default=RINGS_S, ge=5, le=60)
    priority: int = 100
    """Lower ones are tried first."""
    hours: list[dict[str, Any]] = Field(default_factory=list)
    """Spans of the week as numbers keep them; none is always."""
    zone: str = "UTC"


class TransferPolicy(BaseModel):
    """How a version hands over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    targets: list[Target] = Field(default_factory=list)
    hold_sentence: str = HOLD_SENTENCE
    hold_sound: bool = True
    """Whether the caller hears a sound while they wait, after the sentence."""
    back_sentence: str = BACK_SENTENCE
    """Said to a caller who has waited and whom nobody took; empty for none."""
    summary: bool = True
    """Whether the person hears a short summary before they confirm."""
    max_hold_s: int = Field(default=120, ge=15, le=600)
    """Then the caller is back with the agent."""
