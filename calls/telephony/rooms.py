"""Rooms on the LiveKit server: ended with their calls; calls whose room is gone; and web calls whose browser is there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from livekit import api

from calls import lifecycle
from calls.clock import database_now
from calls.errors import LiveKitError, LiveKitRefusedError
from calls.models import Call
from calls.services.dispatching import dispatch_joined
from calls.services.sweeps import Gone
from calls.telephony.client import NOT_FOUND, LiveKit, connected, is_configured
from calls.telephony.names import is_room_of_ours
from calls.timers import timer
from tenants.scope import tenant_scope

logger = structlog.get_logger(__name__)

UNKNOWN_FOR: Final = timer(60)
LOST_FOR: Final = timer(15)
_CLOSE_WITHIN_S: Final = 4.0
_A_PAIR: Final = 2
_PEOPLE: Final = (api.ParticipantInfo.Kind.SIP, api.ParticipantInfo.Kind.STANDARD)

Status = Call.Status


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How many rooms were closed and how many calls ended; `parted`: those of two people whom an agent had connected.

    `begun` are web calls that were given to a worker.
    """

    closed: int = 0
    lost: int = 0
    parted: int = 0
    begun: int = 0


def close_room(room: str) -> bool:
    """Hang up everybody in it. False when it was closed already. Raises LiveKitError."""
    with connected(timeout_s=_CLOSE_WITHIN_S) as livekit:
        try:
            livekit.ask(lambda lk: lk.room.delete_room(api.DeleteRoomRequest(room=room)))
        except LiveKitRefusedError as error:
            if error.code == NOT_FOUND:
                return False
            raise
    logger.info("a room was closed", room=room)
    return True


def reconcile_rooms(*, now: datetime | None = None) -> Reconciled | None:
    """Compare rooms with calls, once, for all tenants. Needs no scope. None without a server; raises LiveKitError.

    A room is closed when its call has ended, or when it has had none for a minute; rooms that others have made are left
    alone, and so is the room of two people whom an agent has connected, until one of them has left. A call is ended here
    only when its room and its job are gone: a job that lives ends its call itself. A web call whose browser came unnoticed
    begins.
    """
    if not is_configured():
        return None
    with connected() as livekit:
        listed = livekit.ask(lambda lk: lk.room.list_rooms(api.ListRoomsRequest()), again=True).rooms
        now = now or database_now()
        rooms = {room.name for room in listed}
        parted = _end_parted(livekit, rooms, now)
    closed = sum(_try_to_close(room.name) for room in listed if is_room_of_ours(room.name) and _is_needless(room, now))
    begun = dispatch_joined(room.name for room in listed if room.num_participants)
    return Reconciled(closed=closed, lost=_end_lost(rooms, now), parted=parted, begun=begun)


def _try_to_close(room: str) -> bool:
    """A room that a server, which was killed, cannot close any more does not hold up the others."""
    try:
        return close_room(room)
    except LiveKitError as error:
        logger.warning("a room could not be closed", room=room, error=str(error))
        return False


def _is_needless(room: Any, now: datetime) -> bool:
    """Asked right before it is closed: a job may have noted its call since the rooms were listed."""
    status = Call.all_objects.filter(room=room.name).values_list("status", flat=True).first()
    if status is not None:
        return bool(status == Status.ENDED)
    return bool(now.timestamp() - room.creation_time >= UNKNOWN_FOR.total_seconds())


def _end_parted(livekit: LiveKit, rooms: set[str], now: datetime) -> int:
    """Calls of two people whom an agent has connected, of whom fewer than two are left. They have no job that would tell."""
    connected_ = Call.all_objects.filter(status=Status.HANDED_OVER, transport=Call.Transport.LIVEKIT).exclude(room="")
    parted = 0
    for call in connected_.filter(claimed_at__lte=now - LOST_FOR).only("pk", "tenant_id", "room"):
        if call.room not in rooms or _people_in(livekit, call.room) < _A_PAIR:
            parted += _end(call, now, Call.Disposition.COMPLETED, "people_hung_up")
    return parted


def _people_in(livekit: LiveKit, room: str) -> int:
    """Phones and browsers; agents, recorders and supervisors, who listen unseen, are none of the parties."""
    try:
        asked = livekit.ask(lambda lk: lk.room.list_participants(api.ListParticipantsRequest(room=room)), again=True)
    except LiveKitRefusedError as error:
        if error.code == NOT_FOUND:
            return 0
        raise
    return sum(who.kind in _PEOPLE and not who.permission.hidden for who in asked.participants)


def _end_lost(rooms: set[str], now: datetime) -> int:
    begun = Call.all_objects.filter(status=Status.IN_PROGRESS, transport=Call.Transport.LIVEKIT)
    held = begun.filter(claimed_at__lte=now - LOST_FOR).exclude(job_id=lifecycle.UNCLAIMED).exclude(room="")
    roomless = [
        call for call in held.only("pk", "tenant_id", "room", "host_id", "job_id", "claimed_at") if call.room not in rooms
    ]
    if not roomless:
        return 0
    gone = Gone.at(now)
    return sum(_end(call, now, Call.Disposition.FAILED, "room_lost", call.job_id) for call in roomless if gone.job(call))


def _end(call: Call, now: datetime, disposition: str, reason: str, job_id: str | None = None) -> bool:
    detail = f"Job {job_id} is gone." if job_id else ""
    with tenant_scope(call.tenant_id):
        return lifecycle.end(call_id=call.pk, disposition=disposition, ended_reason=reason, at=now, detail=detail, job_id=job_id)
