"""What customers can be told by webhook: the types of events, with an example of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from tenants.models import OutboxEvent
from voiceplatform.lib.ids import to_public_id

TEST: Final = "webhook.test"


@dataclass(frozen=True, slots=True)
class EventType:
    """`example` is the `data` of an event; `has_mode` says whether `livemode` is part of it."""

    type: str
    description: str
    example: Mapping[str, Any]
    has_mode: bool = True

    def example_event(self) -> dict[str, Any]:
        return envelope(
            event_id=UUID("01931b66-0f6e-7c34-9d5c-5d1e4fd0b2aa"),
            event_type=self.type,
            at=datetime(2026, 11, 25, 9, 30, 12, tzinfo=UTC),
            sequence=1,
            data=self.example,
            livemode=False if self.has_mode else None,
        )


def envelope(
    *, event_id: UUID, event_type: str, at: datetime, sequence: int, data: Mapping[str, Any], livemode: bool | None
) -> dict[str, Any]:
    """What is posted, after the Standard Webhooks specification. `sequence` grows with each event of one object."""
    posted = {
        "object": "event",
        "id": to_public_id(OutboxEvent.public_prefix, event_id),
        "type": event_type,
        "timestamp": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "sequence": sequence,
        "data": dict(data),
    }
    return posted if livemode is None else {**posted, "livemode": livemode}


_CALL: Final[Mapping[str, Any]] = {
    "id": "call_01jcdpc3vef8vtmf3xf8fzg1dx",
    "agent_id": "agt_01jcdpc3vef8vtmf3xf8fzg1dy",
    "version_id": "agv_01jcdpc3vef8vtmf3xf8fzg1dz",
    "kind": "simulated",
    "persona": "curious",
    "metadata": {"order": "A-1042"},
    "created_at": "2026-11-25T09:29:02.120000Z",
    "status": "queued",
}

_ALL = (
    EventType(
        "call.queued",
        "A call has been accepted and waits for its turn. It is told again if no worker took the call and it waits anew.",
        _CALL,
    ),
    EventType(
        "call.in_progress",
        "The conversation has begun.",
        {**_CALL, "status": "in_progress", "answered_at": "2026-11-25T09:29:04.310000Z"},
    ),
    EventType(
        "call.hand_over_ended",
        "The agent tried to hand the caller over to a person: who was asked, and who took the call, if anybody did.",
        {
            **{name: value for name, value in _CALL.items() if name != "status"},
            "kind": "inbound",
            "persona": "",
            "reason": "asked_for_a_person",
            "summary": "Sam Rivera wants to move Thursday's appointment.",
            "outcome": "joined",
            "target": {"id": "tgt_01jcdpc3vef8vtmf3xf8fzg1e3", "name": "Front desk"},
            "tried": [
                {"id": "tgt_01jcdpc3vef8vtmf3xf8fzg1e4", "name": "Dr. Park", "outcome": "no_answer"},
                {"id": "tgt_01jcdpc3vef8vtmf3xf8fzg1e3", "name": "Front desk", "outcome": "joined"},
            ],
        },
    ),
    EventType(
        "call.ended",
        "The call is over and its record complete: outcome, transcript, usage and cost. The recording may follow.",
        {
            **_CALL,
            "status": "ended",
            "answered_at": "2026-11-25T09:29:04.310000Z",
            "ended_at": "2026-11-25T09:30:10.950000Z",
            "duration_s": 66.64,
            "disposition": "completed",
            "ended_reason": "caller_hung_up",
            "cost": "0.021400",
            "currency": "USD",
        },
    ),
    EventType(
        "message.taken",
        "A caller left a message. It is sent again, with a higher sequence, when the caller corrects it.",
        {
            "id": "msg_01jcdpc3vef8vtmf3xf8fzg1e0",
            "call_id": "call_01jcdpc3vef8vtmf3xf8fzg1dx",
            "agent_id": "agt_01jcdpc3vef8vtmf3xf8fzg1dy",
            "caller_name": "Sam Rivera",
            "phone": "+12025550143",
            "reason": "Wants to move Thursday's appointment.",
            "urgent": False,
            "taken_at": "2026-11-25T09:29:51.000000Z",
            "metadata": {"order": "A-1042"},
        },
    ),
    EventType(
        "recording.ready",
        "The recording of a call can be fetched.",
        {
            "id": "rec_01jcdpc3vef8vtmf3xf8fzg1e1",
            "call_id": "call_01jcdpc3vef8vtmf3xf8fzg1dx",
            "metadata": {"order": "A-1042"},
            "duration_ms": 66640,
            "size": 271330,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
    ),
    EventType(
        "agent.published",
        "A version of an agent is in use from now on.",
        {
            "id": "agt_01jcdpc3vef8vtmf3xf8fzg1dy",
            "name": "Ava",
            "version_id": "agv_01jcdpc3vef8vtmf3xf8fzg1dz",
            "version": 3,
        },
        has_mode=False,
    ),
    EventType(
        "feature.changed",
        "A feature of the account has been switched on or off, or configured anew.",
        {"key": "voice-agent-tool-take-message", "enabled": True},
        has_mode=False,
    ),
    EventType(
        TEST,
        "Somebody asked for a test event. It is sent to that endpoint alone, whichever types it is for.",
        {"endpoint_id": "whe_01jcdpc3vef8vtmf3xf8fzg1e2"},
        has_mode=False,
    ),
)
EVENT_TYPES: Final[Mapping[str, EventType]] = {kind.type: kind for kind in _ALL}
# What an endpoint can be limited to.
SELECTABLE: Final[tuple[str, ...]] = tuple(key for key in EVENT_TYPES if key != TEST)
