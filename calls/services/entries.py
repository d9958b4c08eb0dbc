"""The entries of a call's journal: what a job may write down, checked and made fit to store.

Card numbers are masked here, so nothing behind this boundary sees them.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from voiceplatform.lib.redaction import mask_card_numbers

# PostgreSQL stores neither NUL nor half of a surrogate pair.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_MAX_MS: Final = 2**31 - 1


def _storable(value: object) -> object:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value


def _without_cards(value: Any) -> Any:
    if isinstance(value, str):
        return mask_card_numbers(value)
    if isinstance(value, dict):
        return {key: _without_cards(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_cards(item) for item in value]
    return value


def _whole(value: object) -> object:
    return round(value) if isinstance(value, float) and isfinite(value) else value


def _measured(value: object) -> object:
    """A metric nobody could measure is left out."""
    return {_storable(key): item for key, item in value.items() if item is not None} if isinstance(value, Mapping) else value


_CLEAN: Final = BeforeValidator(_storable)
Text20 = Annotated[str, _CLEAN, Field(max_length=20)]
Text40 = Annotated[str, _CLEAN, Field(max_length=40)]
Text80 = Annotated[str, _CLEAN, Field(max_length=80)]
Text120 = Annotated[str, _CLEAN, Field(max_length=120)]
Text500 = Annotated[str, _CLEAN, Field(max_length=500)]
Name = Annotated[str, _CLEAN, Field(min_length=1, max_length=60)]
Key = Annotated[Text120, Field(min_length=1)]
Provider = Annotated[Text40, Field(min_length=1)]
Prose = Annotated[str, _CLEAN, Field(max_length=10_000)]
Said = Annotated[str, _CLEAN, AfterValidator(mask_card_numbers), Field(max_length=1_000_000)]
Word = Annotated[str, _CLEAN, Field(max_length=200)]
Data = Annotated[dict[str, Any], _CLEAN, AfterValidator(_without_cards)]
Metrics = Annotated[dict[str, Annotated[float, Field(allow_inf_nan=False)]], BeforeValidator(_measured)]
Ms = Annotated[int, BeforeValidator(_whole), Field(ge=-_MAX_MS, le=_MAX_MS)]
Length = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=_MAX_MS)]
Sequence = Annotated[int, Field(ge=0, le=_MAX_MS)]
Size = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Entry(BaseModel):
    # A field that a newer worker adds must not cost the entry it comes with.
    model_config = ConfigDict(extra="ignore", frozen=True)


class StatusEntry(Entry):
    op: Literal["status"]
    to: Literal["ringing", "in_progress", "handed_over", "ended"]
    at: AwareDatetime
    disposition: Text20 = ""
    ended_reason: Annotated[str, _CLEAN, Field(max_length=60)] = ""
    detail: Prose = ""


class TurnEntry(Entry):
    op: Literal["turn"]
    sequence: Sequence
    speaker: Literal["caller", "agent", "person"]
    text: Said
    started_ms: Ms | None = None
    ended_ms: Ms | None = None
    interrupted: bool = False
    redacted: bool = False
    words: list[tuple[Word, Ms, Ms]] = Field(default_factory=list, max_length=20_000)
    language: Text20 = ""
    metrics: Metrics = Field(default_factory=dict)
    source: Literal["speech", "text", "greeting", "reply", "apology", "warning", "ordered"]

    @model_validator(mode="before")
    @classmethod
    def _tells_of_masks(cls, raw: Any) -> Any:
        """The single words of a number that is masked would tell it all the same."""
        text = raw.get("text") if isinstance(raw, Mapping) else None
        hides = isinstance(text, str) and mask_card_numbers(text) != text
        return {**raw, "redacted": True, "words": []} if hides else raw


class TurnMetricsEntry(Entry):
    op: Literal["turn_metrics"]
    sequence: Sequence
    metrics: Metrics


class ToolCallEntry(Entry):
    op: Literal["tool_call"]
    sequence: Sequence
    key: Name
    arguments: Data = Field(default_factory=dict)
    status: Literal["ok", "refused", "error"]
    output: Said = ""
    started_ms: Ms | None = None
    duration_ms: Length | None = None
    idempotency_key: Text120 = ""


class MessageEntry(Entry):
    op: Literal["message"]
    key: Key
    caller_name: Annotated[Said, Field(max_length=200)] = ""
    phone: Text40 = ""
    reason: Said = ""
    urgent: bool = False
    at: AwareDatetime


class AnsweredEntry(Entry):
    """The agent has said all it had to say to a message of a chat, which is the caller's turn `turn`."""

    op: Literal["answered"]
    command_id: UUID
    turn: Sequence
    at: AwareDatetime


class UsageEntry(Entry):
    op: Literal["usage"]
    kind: Literal["stt", "llm", "tts", "telephony", "transport"]
    provider: Provider
    model: Text80
    unit: Literal["second", "input_token", "cached_input_token", "output_token", "character"]
    quantity: Annotated[Decimal, Field(ge=0, lt=10**12, allow_inf_nan=False)]


class LegEntry(Entry):
    """What became of a phone in the call's room; what is not given stays as it is known."""

    op: Literal["leg"]
    identity: Key
    role: Literal["caller", "callee", "target"] | None = None
    phone: Text40 | None = None
    carrier_id: Text120 | None = None
    started_at: AwareDatetime | None = None
    ringing_at: AwareDatetime | None = None
    answered_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    end_reason: Annotated[str, _CLEAN, Field(max_length=60)] | None = None


class AnsweredByEntry(Entry):
    """Who or what answered an outbound call. What is known stays, unless it was uncertain."""

    op: Literal["answered_by"]
    who: Literal["human", "machine_ivr", "machine_vm", "machine_unavailable", "screening", "uncertain"]
    at: AwareDatetime


class ActionEntry(Entry):
    """What became of an action somebody asked the job for."""

    op: Literal["action"]
    command_id: UUID
    outcome: Literal["done", "failed"]
    reason: Annotated[str, _CLEAN, Field(max_length=60)] = ""
    at: AwareDatetime
    data: Data = Field(default_factory=dict)


class SupervisorEntry(Entry):
    """A member of the staff came into the call's room, or left it."""

    op: Literal["supervisor"]
    supervision_id: UUID
    participant_sid: Annotated[str, _CLEAN, Field(max_length=60)]
    joined_at: AwareDatetime | None = None
    left_at: AwareDatetime | None = None


class EventEntry(Entry):
    op: Literal["event"]
    kind: Name
    at: AwareDatetime
    data: Data = Field(default_factory=dict)


class RecordingEntry(Entry):
    op: Literal["recording"]
    state: Literal["spooled", "lost"]
    path: Text500 = ""
    duration_ms: Length | None = None
    size: Size | None = None
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    detail: Prose = ""
    cut_short: bool = False


class FinalizeEntry(Entry):
    op: Literal["finalize"]
    at: AwareDatetime


AnyEntry = (
    StatusEntry
    | TurnEntry
    | TurnMetricsEntry
    | ToolCallEntry
    | MessageEntry
    | AnsweredEntry
    | UsageEntry
    | LegEntry
    | AnsweredByEntry
    | ActionEntry
    | SupervisorEntry
    | EventEntry
    | RecordingEntry
    | FinalizeEntry
)
_ENTRY: Final[TypeAdapter[AnyEntry]] = TypeAdapter(Annotated[AnyEntry, Field(discriminator="op")])


def parse_entry(raw: object) -> AnyEntry:
    """Raises pydantic's ValidationError."""
    return _ENTRY.validate_python(raw)


def moment(
    entry: StatusEntry | MessageEntry | AnsweredEntry | AnsweredByEntry | ActionEntry | EventEntry | FinalizeEntry,
    *,
    now: datetime,
) -> datetime:
    """When it happened by the job's clock, which may be fast: never later than now."""
    return min(entry.at, now)
