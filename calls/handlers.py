"""What customers are told of this app's news, and who does its long work."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from agents.models import Agent, AgentVersion
from calls.models import Call, CallEvent, Message, Recording
from calls.services import imports
from calls.services.targets import hand_over_facts
from calls.telephony import client, rooms
from tenants.jobs import LEADS, SUPPRESSIONS, job_handler
from tenants.outbox import Event, Payload, payload_builder, subscriber
from voiceplatform.lib.ids import to_public_id

job_handler(LEADS, imports.IMPORT_LEADS)
job_handler(SUPPRESSIONS, imports.IMPORT_SUPPRESSIONS)


@subscriber("calls.close_room", topic="call.ended", writes_rows_only=False)
def close_room(event: Event) -> None:
    """Whoever is still in the room of an ended call is hung up."""
    call = Call.objects.filter(pk=event.object_id, transport=Call.Transport.LIVEKIT).exclude(room="").first()
    if call is not None and client.is_configured():
        rooms.close_room(call.room)


@payload_builder("call.queued", event_type="call.queued")
def call_queued(event: Event) -> Payload | None:
    return _told(event, lambda _call: {"status": "queued"})


@payload_builder("call.in_progress", event_type="call.in_progress")
def call_in_progress(event: Event) -> Payload | None:
    return _told(event, lambda call: {"status": "in_progress", "answered_at": _time(call.answered_at)})


@payload_builder("call.finalized", event_type="call.ended")
def call_ended(event: Event) -> Payload | None:
    """Told when the call's record is complete; its cost is that of this moment."""

    def ended(call: Call) -> dict[str, Any]:
        return {
            "status": "ended",
            "answered_at": _time(call.answered_at),
            "ended_at": _time(call.ended_at),
            "duration_s": event.data["seconds"],
            "disposition": call.disposition,
            "ended_reason": call.ended_reason,
            "cost": event.data["cost"],
            "currency": event.data["currency"],
        }

    return _told(event, ended)


@payload_builder("call.hand_over_ended", event_type="call.hand_over_ended")
def hand_over_ended(event: Event) -> Payload | None:
    told = CallEvent.objects.filter(pk=event.data["event_id"], call_id=event.object_id).first()
    return _told(event, lambda _call: hand_over_facts(told.data)) if told else None


@payload_builder("recording.ready", event_type="recording.ready")
def recording_ready(event: Event) -> Payload | None:
    recording = Recording.objects.filter(call_id=event.object_id).select_related("call").first()
    if recording is None:
        return None
    facts = {key: event.data[key] for key in ("duration_ms", "size", "sha256")}
    data = {"id": recording.public_id, "call_id": recording.call.public_id, "metadata": recording.call.metadata, **facts}
    return Payload(data=data, livemode=recording.call.livemode)


@payload_builder("message.taken", event_type="message.taken")
def message_taken(event: Event) -> Payload | None:
    message = Message.objects.filter(pk=event.object_id).select_related("call").first()
    if message is None:
        return None
    data = {
        "id": message.public_id,
        "call_id": message.call.public_id,
        "agent_id": to_public_id(Agent.public_prefix, message.call.agent_id),
        "caller_name": message.caller_name,
        "phone": message.phone,
        "reason": message.reason,
        "urgent": message.urgent,
        "taken_at": _time(message.taken_at),
        "metadata": message.call.metadata,
    }
    return Payload(data=data, livemode=message.call.livemode)


def _told(event: Event, facts: Callable[[Call], dict[str, Any]]) -> Payload | None:
    """A call as it was when the event happened, which is what `facts` says."""
    call = Call.objects.filter(pk=event.object_id).first()
    if call is None:
        return None
    data = {
        "id": call.public_id,
        "agent_id": to_public_id(Agent.public_prefix, call.agent_id),
        "version_id": to_public_id(AgentVersion.public_prefix, call.version_id),
        "kind": call.kind,
        "persona": call.persona,
        "metadata": call.metadata,
        "created_at": _time(call.created_at),
    }
    return Payload(data={**data, **facts(call)}, livemode=call.livemode)


def _time(value: datetime | None) -> str | None:
    return value.isoformat().replace("+00:00", "Z") if value else None
