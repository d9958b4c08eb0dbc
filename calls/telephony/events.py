"""What the LiveKit server tells us of its own accord: checked, kept once, handled later.

It is a hint, never the truth: messages come late, twice, in any order or not at all. While a job holds its call, the
job is the one who knows; what a message says counts where the job is gone.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Greatest
from google.protobuf.json_format import MessageToDict, ParseDict
from livekit import api

from calls import lifecycle
from calls.clock import database_now
from calls.errors import ForgedEventError, UnusableEventError
from calls.models import Call, CallEvent, Leg, ProviderEvent
from calls.services.dispatching import dispatch_joined
from calls.services.sweeps import Gone
from calls.telephony import egress
from calls.telephony.names import BROWSER, WEB_PREFIX, supervision_of
from calls.telephony.supervisors import note_supervisor, send_away_intruder
from tenants.scope import tenant_scope
from voiceplatform.lib import broker

logger = structlog.get_logger(__name__)

HANDLE_TASK: Final = "calls.tasks.handle_provider_events"
RECONCILE_TASK: Final = "calls.tasks.reconcile_rooms"
OLDEST: Final = timedelta(minutes=10)
EARLIEST: Final = timedelta(minutes=5)
CALL_WITHIN: Final = timedelta(seconds=60)
KEPT: Final = timedelta(days=30)
_AT_ONCE: Final = 500
_JOINED, _LEFT, _FINISHED = "participant_joined", "participant_left", "room_finished"
_EGRESS_ENDED = "egress_ended"
# What a storage that is away holds up for half a minute; meanwhile somebody may be waiting in a room.
_LAST: Final = Case(When(kind=_EGRESS_ENDED, then=1), default=0)
# What is kept of a message: enough to see what happened, no password and no token.
_KEPT_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "room": ("name", "sid", "creation_time"),
    "participant": ("identity", "sid", "kind", "state", "attributes", "joined_at", "disconnect_reason"),
    "track": ("sid", "type", "source"),
    "egress_info": ("egress_id", "status", "error", "started_at", "ended_at", "file_results"),
    "job": ("id", "agent_name", "dispatch_id"),
}

Event = ProviderEvent
LIVEKIT: Final = ProviderEvent.Provider.LIVEKIT


def take(body: str, signature: str) -> bool:
    """Keep a message; False when it was here before. Raises ForgedEventError and UnusableEventError."""
    event, now = _checked(body, signature), database_now()
    if not event.id or not event.event or len(event.id) > 120 or len(event.event) > 60:
        raise UnusableEventError("The message has no id, or is of no kind.")
    at = datetime.fromtimestamp(event.created_at, UTC)
    if not now - OLDEST <= at <= now + EARLIEST:
        raise UnusableEventError("The message is too old, or comes from the future. Compare the clocks of both machines.")
    row = ProviderEvent(
        provider=LIVEKIT, event_id=event.id, kind=event.event, room=_room_of(event), at=at, body=_kept(event), received_at=now
    )
    known = ProviderEvent.objects.filter(provider=LIVEKIT, event_id=event.id).exists()
    ProviderEvent.objects.bulk_create([row], ignore_conflicts=True)
    begins = event.event == _JOINED and _is_browser(row.room, event.participant.identity)
    if begins or event.event in (_LEFT, _FINISHED, _EGRESS_ENDED) or supervision_of(event.participant.identity):
        broker.send_on_commit(HANDLE_TASK)
    return not known


def handle_events(*, now: datetime | None = None) -> int:
    """Handle what has come, as far as it can be; returns how many are done with. Needs no scope."""
    now = now or database_now()
    gone: list[Gone] = []

    def who_is_gone() -> Gone:
        gone.extend([] if gone else [Gone.at(now)])
        return gone[0]

    done = 0
    waiting = ProviderEvent.objects.filter(handled_at=None).order_by(_LAST, "received_at", "pk")
    for event in waiting[:_AT_ONCE]:
        try:
            done += _handle(event, now, who_is_gone)
        except Exception:
            logger.exception("a provider's message could not be handled", event_id=event.event_id)
    return done


def forget_old_events() -> int:
    """Delete what was handled long ago; returns how much."""
    old = ProviderEvent.objects.filter(received_at__lt=database_now() - KEPT).exclude(handled_at=None)
    return old.delete()[0]


def _checked(body: str, signature: str) -> Any:
    if not (settings.LIVEKIT_API_KEY and settings.LIVEKIT_API_SECRET):
        raise ForgedEventError("There is no LiveKit server whose messages could be checked.")
    receiver = api.WebhookReceiver(api.TokenVerifier(settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET))
    try:
        return receiver.receive(body, signature.removeprefix("Bearer "))
    except Exception as error:  # of half a dozen classes, one of them Exception itself
        raise ForgedEventError("The message is not signed with our key.") from error


def _room_of(event: Any) -> str:
    return str(event.room.name or event.egress_info.room_name or event.job.room.name)[:255]


def _kept(event: Any) -> dict[str, Any]:
    told = MessageToDict(event, preserving_proto_field_name=True)
    parts = {
        name: {key: told[name][key] for key in keys if key in told[name]} for name, keys in _KEPT_FIELDS.items() if name in told
    }
    return {**{key: told[key] for key in ("num_dropped", "room_end_reason") if key in told}, **parts}


def _handle(event: Event, now: datetime, who_is_gone: Callable[[], Gone]) -> bool:
    call = Call.all_objects.filter(room=event.room).first() if event.room else None
    if call is None:
        # The room of an inbound call is there before the call is.
        return now - event.received_at >= CALL_WITHIN and _settle(event, now)
    with tenant_scope(call.tenant_id):
        if event.kind == _LEFT and (leg := _leg_of(event, call)) and not _is_over(call, who_is_gone):
            logger.debug("a message waits until the job has gone", event_id=event.event_id, leg=str(leg.pk))
            return False
        if event.kind == _EGRESS_ENDED and egress.rests(now):
            return False
        if event.kind == _EGRESS_ENDED:
            # Before it is noted as handled: a storage that is away is asked again.
            egress.settle(call, ParseDict(event.body.get("egress_info", {}), api.EgressInfo(), ignore_unknown_fields=True))
        settled = _settle(event, now, call)
    if settled and event.kind == _JOINED:
        send_away_intruder(event, call)
        if _is_browser(event.room, event.body.get("participant", {}).get("identity", "")):
            dispatch_joined([event.room])
    return settled


@transaction.atomic
def _settle(event: Event, now: datetime, call: Call | None = None) -> bool:
    """Note that it is done with and what follows from it, once."""
    mine = ProviderEvent.objects.filter(pk=event.pk, handled_at=None)
    if not mine.update(handled_at=now, call_id=call.pk if call else None):
        return False
    if call and event.kind == _LEFT and (leg := _leg_of(event, call)):
        reason = str(event.body["participant"].get("disconnect_reason", "UNKNOWN_REASON")).lower()
        ended = Greatest(Value(event.at), F("started_at"))
        Leg.objects.filter(pk=leg.pk, ended_at=None).update(ended_at=ended, end_reason=reason)
    if call and call.status == Call.Status.HANDED_OVER and event.kind in (_LEFT, _FINISHED):
        broker.send_on_commit(RECONCILE_TASK)
    if call and event.kind in (_JOINED, _LEFT):
        note_supervisor(event, call, came=event.kind == _JOINED)
    if call and event.kind == _FINISHED:
        CallEvent.objects.create(call=call, kind=_FINISHED, at=event.at, key=f"livekit:{event.event_id}"[:64])
    return True


def _is_browser(room: str, identity: str) -> bool:
    """Whether it is the caller of a web call."""
    return room.startswith(WEB_PREFIX) and identity == BROWSER


def _leg_of(event: Event, call: Call) -> Leg | None:
    """The leg of the phone or browser that left, unless somebody has noted its end."""
    who = event.body.get("participant", {})
    if who.get("kind") == "AGENT":
        return None
    leg: Leg | None = Leg.objects.filter(call=call, identity=who.get("identity", ""), ended_at=None).first()
    return leg


def _is_over(call: Call, who_is_gone: Callable[[], Gone]) -> bool:
    """Whether no job will note anything about the call any more."""
    if call.status in (Call.Status.ENDED, Call.Status.HANDED_OVER):
        return True
    return call.job_id != lifecycle.UNCLAIMED and who_is_gone().job(call)
