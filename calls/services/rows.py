"""Writing the facts of a journal as rows, each kind in a few queries. The caller holds the call's row lock."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db import models

from calls.lifecycle import OBJECT_TYPE
from calls.models import Call, CallEvent, Message, Recording, ToolCall, Turn
from calls.services.entries import (
    EventEntry,
    MessageEntry,
    RecordingEntry,
    ToolCallEntry,
    TurnEntry,
    TurnMetricsEntry,
    UsageEntry,
    moment,
)
from tenants.services.usage import record_usage


class UnfitEntryError(ValueError):
    """An entry that is well formed and cannot be applied."""


def write_turns(call: Call, entries: Sequence[TurnEntry | TurnMetricsEntry], _now: datetime) -> None:
    """The last text wins; metrics are added to those already known."""
    sequences = {entry.sequence for entry in entries}
    turns: dict[int, Turn] = {turn.sequence: turn for turn in Turn.objects.filter(call=call, sequence__in=sequences)}
    for entry in entries:
        turn = turns.get(entry.sequence)
        if isinstance(entry, TurnEntry):
            known = turn.metrics if turn else {}
            turn = turns[entry.sequence] = turn or Turn(call=call, sequence=entry.sequence)
            _set(turn, entry.model_dump(exclude={"op", "sequence"}))
            turn.metrics = {**known, **entry.metrics}
        elif turn is None:
            raise UnfitEntryError(f"there is no turn {entry.sequence} these metrics belong to")
        else:
            turn.metrics = {**turn.metrics, **entry.metrics}
    _upsert(Turn, turns.values(), key="sequence", fields=_fields(TurnEntry, "sequence"))


def write_tool_calls(call: Call, entries: Sequence[ToolCallEntry], _now: datetime) -> None:
    last = {entry.sequence: ToolCall(call=call, **entry.model_dump(exclude={"op"})) for entry in entries}
    _upsert(ToolCall, last.values(), key="sequence", fields=_fields(ToolCallEntry, "sequence"))


def write_messages(call: Call, entries: Sequence[MessageEntry], now: datetime) -> None:
    last = {
        entry.key: Message(call=call, taken_at=moment(entry, now=now), **entry.model_dump(exclude={"op", "at"}))
        for entry in entries
    }
    _upsert(Message, last.values(), key="key", fields=["caller_name", "phone", "reason", "urgent", "taken_at"])


def write_usage(call: Call, entries: Sequence[UsageEntry], _now: datetime) -> None:
    for entry in {(e.kind, e.provider, e.model, e.unit): e for e in entries}.values():
        record_usage(subject_type=OBJECT_TYPE, subject_id=call.pk, **entry.model_dump(exclude={"op"}))


def write_events(call: Call, entries: Sequence[EventEntry], now: datetime) -> None:
    rows = [
        CallEvent(call=call, kind=entry.kind, at=moment(entry, now=now), data=entry.data, key=_digest(entry)) for entry in entries
    ]
    CallEvent.objects.bulk_create(rows, ignore_conflicts=True)


def write_recording(call: Call, entries: Sequence[RecordingEntry], _now: datetime) -> None:
    """A stored recording is final: news of the spooled file arriving again changes nothing."""
    entry = entries[-1]
    recording = Recording.objects.filter(call=call).first() or Recording(call=call)
    if recording.state == Recording.State.STORED:
        return
    if entry.state == "spooled" and not (entry.path and entry.sha256 and entry.size is not None):
        raise UnfitEntryError("a spooled recording needs path, size and sha256")
    if entry.state == "lost" and not entry.detail:
        raise UnfitEntryError("a lost recording needs a detail that says why")
    _set(recording, entry.model_dump(exclude={"op", "path"}) | {"spool_path": entry.path})
    recording.save()


WRITERS: Final[Mapping[str, Callable[..., None]]] = {
    "turn": write_turns,
    "turn_metrics": write_turns,
    "tool_call": write_tool_calls,
    "message": write_messages,
    "usage": write_usage,
    "event": write_events,
    "recording": write_recording,
}


def _set(row: models.Model, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)


def _fields(entry: type[Any], *without: str) -> list[str]:
    return [name for name in entry.model_fields if name not in ("op", *without)]


def _upsert(model: Any, rows: Any, *, key: str, fields: list[str]) -> None:
    model.objects.bulk_create(
        list(rows), batch_size=1000, update_conflicts=True, unique_fields=["tenant", "call", key], update_fields=fields
    )


def _digest(entry: EventEntry) -> str:
    text = json.dumps(entry.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
