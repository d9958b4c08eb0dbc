"""Members of the staff in rooms, as the server tells of them: those who are hidden are told of by nobody else."""

from contextlib import suppress
from typing import Any, Final

import structlog
from livekit import api

from calls.errors import LiveKitRefusedError
from calls.models import Call, ProviderEvent, Supervision
from calls.services.presence import note_joined, note_left
from calls.telephony.client import connected
from calls.telephony.names import supervision_of
from tenants.scope import tenant_scope
from tenants.services import audit

logger = structlog.get_logger(__name__)

_AWAY_WITHIN_S: Final = 4.0


def note_supervisor(event: ProviderEvent, call: Call, *, came: bool) -> None:
    """Write down that somebody came or went, if they are of the staff. In the scope of the call's tenant."""
    who = _who(event)
    if (supervision_id := supervision_of(who.get("identity", ""))) is None:
        return
    note = note_joined if came else note_left
    note(Supervision.objects.filter(call=call, pk=supervision_id), participant_sid=who["sid"], at=event.at)


def send_away_intruder(event: ProviderEvent, call: Call) -> bool:
    """Whoever comes in with an admission that another has used is sent away; says whether somebody was.

    Not within a transaction. Raises LiveKitError.
    """
    who = _who(event)
    if (supervision_id := supervision_of(who.get("identity", ""))) is None:
        return False
    with tenant_scope(call.tenant_id):
        known = Supervision.objects.filter(call=call, pk=supervision_id).first()
        if known and known.participant_sid == who["sid"]:
            return False
        audit.record(action="call.supervisor_sent_away", target=call, data={"supervision": supervision_id})
    logger.warning("somebody came into a room with an admission that was used", room=call.room)
    identity = api.RoomParticipantIdentity(room=call.room, identity=who["identity"])
    with connected(timeout_s=_AWAY_WITHIN_S) as livekit, suppress(LiveKitRefusedError):  # they may have gone meanwhile
        livekit.ask(lambda lk: lk.room.remove_participant(identity), again=True)
    return True


def _who(event: ProviderEvent) -> Any:
    return event.body.get("participant", {})
