"""Calls from browsers: placed, and joined with a token that admits one caller to one room."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Unpack

from django.conf import settings
from django.db import transaction

from calls.clock import database_now
from calls.errors import CallBegunError, CallEndedError, NotForThisKindError, WebCallsNotConfiguredError
from calls.models import Call
from calls.services.placing import Asked, place_call
from calls.telephony.client import is_configured
from calls.telephony.names import BROWSER
from calls.telephony.tokens import speakers_token
from calls.timers import timer
from tenants.models import User
from tenants.services import audit

HOLDS: Final = timedelta(seconds=60)
JOINED_WITHIN: Final = timer(600)
_NO_SERVER: Final = "Browsers call over a LiveKit server, and this installation has none: LIVEKIT_URL is empty."


@dataclass(frozen=True, slots=True)
class Entry:
    """What a browser joins its call with, until `expires_at`. It is kept nowhere."""

    url: str
    token: str = field(repr=False)
    expires_at: datetime


@transaction.atomic
def place_web(*, actor: User | None = None, **asked: Unpack[Asked]) -> Call:
    """Queue a call that begins when a browser joins it, and is canceled when none has in ten minutes.

    `actor` is the member of staff who calls, for the audit. Raises what `place_call` does, and WebCallsNotConfiguredError.
    """
    if not is_configured():
        raise WebCallsNotConfiguredError(_NO_SERVER)
    call = place_call(**asked | {"kind": Call.Kind.WEB, "not_after": database_now() + JOINED_WITHIN})
    if actor is not None:
        audit.record(action="call.placed", target=call, actor=actor)
    return call


def let_in(call: Call) -> Entry:
    """A way into the room of a web call that waits for its browser; each is as good as the one before, for its time.

    Raises NotForThisKindError, CallEndedError and CallBegunError.
    """
    if call.kind != Call.Kind.WEB:
        raise NotForThisKindError(f"{call.public_id} is a call of kind {call.kind}. Browsers join web calls.")
    if call.status == Call.Status.ENDED:
        raise CallEndedError(f"{call.public_id} has ended already. Place another call.")
    if call.status != Call.Status.QUEUED:
        raise CallBegunError(f"Somebody has joined {call.public_id} already. Place another call.")
    if not is_configured():
        raise WebCallsNotConfiguredError(_NO_SERVER)
    token = speakers_token(room=call.room, identity=BROWSER, ttl=HOLDS)
    return Entry(url=settings.LIVEKIT_PUBLIC_URL, token=token, expires_at=database_now() + HOLDS)
