"""Letting the staff into running calls: to listen unseen, or to take the agent's place."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from calls.clock import database_now
from calls.errors import CallEndedError, NotAnsweredError, SupervisionRefusedError
from calls.models import Call, Supervision
from calls.telephony.names import supervisor_identity
from calls.telephony.tokens import listeners_token, speakers_token
from tenants.models import User
from tenants.services import audit
from tenants.services.features import enabled_features

FEATURE: Final = "call-listening"
HOLDS: Final = timedelta(seconds=45)
Mode = Supervision.Mode
_TALKING: Final = (Call.Status.IN_PROGRESS, Call.Status.HANDED_OVER)


@dataclass(frozen=True, slots=True)
class Admission:
    """What a browser comes in with, once, until `expires_at`."""

    url: str
    token: str = field(repr=False)
    mode: Mode
    expires_at: datetime


def may_be_supervised(call: Call) -> bool:
    """Whether anybody could come in: somebody talks, in a room, and the tenant allows it."""
    return not _obstacle(call) and call.status in _TALKING


@transaction.atomic
def admit(call: Call, *, mode: Mode, actor: User, reason: str) -> Admission:
    """Let a member of the staff into the call's room. Refused, nothing is stored.

    Raises SupervisionRefusedError, CallEndedError, NotAnsweredError and NoLiveKitError.
    """
    call = Call.objects.select_for_update(no_key=True, of=("self",)).get(pk=call.pk)
    if problem := _obstacle(call):
        raise SupervisionRefusedError(problem)
    _require_talk(call, mode)
    now = database_now()
    if mode == Mode.TAKE_OVER and (other := _taken_over(call, now).select_related("actor").first()):
        raise SupervisionRefusedError(f"{other.actor} has taken over this call. One person at a time talks for the agent.")
    made = Supervision.objects.create(call=call, mode=mode, actor=actor, reason=reason, created_at=now, expires_at=now + HOLDS)
    audit.record(action=f"call.{mode}_allowed", target=call, actor=actor, data={"supervision": made.pk}, reason=reason)
    mint = listeners_token if mode == Mode.LISTEN else speakers_token
    token = mint(room=call.room, identity=supervisor_identity(made.pk), ttl=HOLDS)
    return Admission(url=settings.LIVEKIT_PUBLIC_URL, token=token, mode=mode, expires_at=made.expires_at)


def _obstacle(call: Call) -> str:
    if FEATURE not in enabled_features():
        return "This account does not allow its calls to be listened to. It is switched under Features."
    if call.transport != Call.Transport.LIVEKIT or not call.room:
        return "This call runs without a LiveKit server, so there is no room to come into."
    return ""


def _require_talk(call: Call, mode: Mode) -> None:
    if call.status == Call.Status.ENDED:
        raise CallEndedError(f"{call.public_id} has ended already.")
    if call.status not in _TALKING:
        raise NotAnsweredError(f"Nobody has answered the call yet; it is {call.get_status_display()}.")
    if mode == Mode.TAKE_OVER and call.status == Call.Status.HANDED_OVER:
        raise SupervisionRefusedError("Two people talk in this call already, without an agent.")


def _taken_over(call: Call, now: datetime) -> "QuerySet[Supervision]":
    """Those who speak in the agent's place, or may come in to do so."""
    present = Q(joined_at__isnull=False) | Q(expires_at__gt=now)
    rows: QuerySet[Supervision] = Supervision.objects.filter(present, call=call, mode=Mode.TAKE_OVER, left_at=None)
    return rows
