"""Writing the facts of a journal as rows, each kind in a few queries. The caller holds the call's row lock."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import models

from calls import settling
from calls.lifecycle import OBJECT_TYPE
from calls.models import Call, CallCommand, CallEvent, Leg, Message, Recording, Supervision, ToolCall, Turn
from calls.models.journaled import JournaledModel
from calls.policies import HAND_OVER_EVENT
from calls.services.entries import (
    ActionEntry,
    AnsweredByEntry,
    AnsweredEntry,
    Entry,
    EventEntry,
    LegEntry,
    MessageEntry,
    RecordingEntry,
    SupervisorEntry,
    ToolCallEntry,
    TurnEntry,
    TurnMetricsEntry,
    UsageEntry,
    moment,
)
from calls.services.presence import note_joined, note_left
from tenants import outbox
from tenants.services.usage import record_usage


class UnfitEntryError(ValueError):
    """An entry that is well formed and cannot be applied."""


def write_turns(call: Call, entries: Sequence[TurnEntry | TurnMetricsEntry], _now: datetime) -> None:
    """The last text wins; metrics are added to those already known."""
    turns = _stored(Turn, call, sequence=[entry.sequence for entry in entries])
    for entry in entries:
        turn = turns.get(entry.sequence)
        if turn is None and isinstance(entry, TurnMetricsEntry):
            raise UnfitEntryError(f"there is no turn {entry.sequence} these metrics belong to")
        turn = turns.setdefault(entry.sequence, turn or Turn(call=call))
        if _is_new(turn, entry):
            _set(turn, entry.model_dump(exclude={"op", "metrics"}))
            turn.metrics = {**turn.metrics, **entry.metrics}
    _upsert(Turn, turns.values(), key="sequence", fields=_fields(TurnEntry))


def write_tool_calls(call: Call, entries: Sequence[ToolCallEntry], _now: datetime) -> None:
    tools = _stored(ToolCall, call, sequence=[entry.sequence for entry in entries])
    for entry in entries:
        tool = tools.setdefault(entry.sequence, ToolCall(call=call))
        if _is_new(tool, entry):
            _set(tool, entry.model_dump(exclude={"op"}))
    _upsert(ToolCall, tools.values(), key="sequence", fields=_fields(ToolCallEntry))


def write_messages(call: Call, entries: Sequence[MessageEntry], now: datetime) -> None:
    """Tells `message.taken` of each message that is new or corrected."""
    messages = _stored(Message, call, key=[entry.key for entry in entries])
    changed: set[UUID] = set()
    for entry in entries:
        message = messages.setdefault(entry.key, Message(call=call))
        if _is_new(message, entry):
            _set(message, entry.model_dump(exclude={"op", "at"}) | {"taken_at": moment(entry, now=now)})
            changed.add(message.pk)
    _upsert(Message, messages.values(), key="key", fields=["taken_at", *_fields(MessageEntry, "at")])
    for message_id in sorted(changed):
        outbox.publish(topic="message.taken", object_type="message", object_id=message_id, data={"call_id": str(call.pk)})


def write_answers(call: Call, entries: Sequence[AnsweredEntry], now: datetime) -> None:
    waiting = CallCommand.objects.filter(call=call, kind=CallCommand.Kind.MESSAGE, answered_at=None)
    for entry in entries:
        waiting.filter(pk=entry.command_id).update(turn=entry.turn, answered_at=moment(entry, now=now))


def write_usage(call: Call, entries: Sequence[UsageEntry], _now: datetime) -> None:
    for entry in {(e.kind, e.provider, e.model, e.unit): e for e in entries}.values():
        record_usage(subject_type=OBJECT_TYPE, subject_id=call.pk, **entry.model_dump(exclude={"op"}))


def write_events(call: Call, entries: Sequence[EventEntry], now: datetime) -> None:
    rows = [
        CallEvent(call=call, kind=entry.kind, at=moment(entry, now=now), data=entry.data, key=_digest(entry)) for entry in entries
    ]
    news = _new_hand_overs(call, rows)
    CallEvent.objects.bulk_create(rows, ignore_conflicts=True)
    for row in news:
        outbox.publish(topic="call.hand_over_ended", object_type=OBJECT_TYPE, object_id=call.pk, data={"event_id": str(row.pk)})


def _new_hand_overs(call: Call, rows: Sequence[CallEvent]) -> list[CallEvent]:
    """Those not stored yet, each once; it asks the database only where there is one."""
    told = {row.key: row for row in reversed(rows) if row.kind == HAND_OVER_EVENT}
    known = CallEvent.objects.filter(call=call, key__in=told).values_list("key", flat=True) if told else ()
    for key in list(known):
        del told[key]
    return list(told.values())


def write_answered_by(call: Call, entries: Sequence[AnsweredByEntry], now: datetime) -> None:
    """The first knowledge stays; only what was uncertain is replaced."""
    for entry in entries:
        Call.objects.filter(pk=call.pk, answered_by__in=["", Call.AnsweredBy.UNCERTAIN]).update(answered_by=entry.who)
    rows = [
        CallEvent(call=call, kind=entry.op, at=moment(entry, now=now), data={"who": entry.who}, key=_digest(entry))
        for entry in entries
    ]
    CallEvent.objects.bulk_create(rows, ignore_conflicts=True)


def write_actions(call: Call, entries: Sequence[ActionEntry], now: datetime) -> None:
    actions = {action.pk: action for action in CallCommand.objects.filter(call=call, pk__in=[e.command_id for e in entries])}
    for entry in entries:
        if (action := actions.get(entry.command_id)) is None:
            raise UnfitEntryError(f"the call has no action {entry.command_id}")
        settling.settle(action, outcome=entry.outcome, reason=entry.reason, at=moment(entry, now=now), data=entry.data)


def write_supervisors(call: Call, entries: Sequence[SupervisorEntry], now: datetime) -> None:
    for entry in entries:
        known = Supervision.objects.filter(call=call, pk=entry.supervision_id)
        if entry.joined_at:
            note_joined(known, participant_sid=entry.participant_sid, at=min(entry.joined_at, now))
        if entry.left_at:
            note_left(known, participant_sid=entry.participant_sid, at=min(entry.left_at, now))


def write_legs(call: Call, entries: Sequence[LegEntry], now: datetime) -> None:
    """The first moment at which something happened counts, whatever arrives again."""
    legs = {leg.identity: leg for leg in Leg.objects.filter(call=call)}
    for entry in entries:
        leg = legs.get(entry.identity)
        if leg is None:
            began = min(entry.started_at or now, now)
            leg = legs[entry.identity] = Leg(call=call, identity=entry.identity, role=Leg.Role.CALLER, started_at=began)
        for name in LegEntry.model_fields.keys() - {"op", "identity", "started_at"}:
            value = getattr(entry, name)
            known = getattr(leg, name)
            if value is not None and (name == "role" or not known):
                setattr(leg, name, max(min(value, now), leg.started_at) if name.endswith("_at") else value)
    for leg in legs.values():
        leg.save()


def write_recording(call: Call, entries: Sequence[RecordingEntry], _now: datetime) -> None:
    """A stored recording is final, and so is a deleted one: news of the spooled file arriving again changes nothing."""
    recording = Recording.objects.filter(call=call).first() or Recording(call=call)
    for entry in entries:
        if entry.state == "spooled" and not (entry.path and entry.sha256 and entry.size is not None):
            raise UnfitEntryError("a spooled recording needs path, size and sha256")
        if entry.state == "lost" and not entry.detail:
            raise UnfitEntryError("a lost recording needs a detail that says why")
        if recording.state not in (Recording.State.STORED, Recording.State.DELETED) and _is_new(recording, entry):
            _set(recording, entry.model_dump(exclude={"op", "path"}) | {"spool_path": entry.path})
    recording.save()


WRITERS: Final[Mapping[str, Callable[..., None]]] = {
    "turn": write_turns,
    "turn_metrics": write_turns,
    "tool_call": write_tool_calls,
    "message": write_messages,
    "answered": write_answers,
    "usage": write_usage,
    "event": write_events,
    "answered_by": write_answered_by,
    "action": write_actions,
    "supervisor": write_supervisors,
    "leg": write_legs,
    "recording": write_recording,
}


def _stored(model: Any, call: Call, **keys: list[Any]) -> dict[Any, Any]:
    ((name, values),) = keys.items()
    return {getattr(row, name): row for row in model.objects.filter(call=call, **{f"{name}__in": set(values)})}


def _is_new(row: JournaledModel, entry: Entry) -> bool:
    """Whether the row has not been given this entry before; it has now."""
    digest = _digest(entry)[:16]
    if digest in row.applied:
        return False
    row.applied = [*row.applied, digest]
    return True


def _set(row: models.Model, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)


def _fields(entry: type[Entry], *without: str) -> list[str]:
    return ["applied", *(name for name in entry.model_fields if name not in ("op", *without))]


def _upsert(model: Any, rows: Any, *, key: str, fields: list[str]) -> None:
    changed = [field for field in fields if field != key]
    model.objects.bulk_create(
        list(rows), batch_size=1000, update_conflicts=True, unique_fields=["tenant", "call", key], update_fields=changed
    )


def _digest(entry: Entry) -> str:
    text = json.dumps(entry.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
