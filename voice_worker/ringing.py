"""Asking the LiveKit server to ring a phone, once, and what it says of that."""

import asyncio
from typing import Final

from django.conf import settings
from livekit import api

from calls.outcomes import DialOutcome, of_error

PATIENCE_S: Final = 10.0
"""How much longer than the ringing the server may take to answer us."""
TOLD_WITHIN_S: Final = 1.5
"""How long after the room shows an answer the server may take to tell us of it."""


async def rung(request: api.CreateSIPParticipantRequest, *, active: asyncio.Event, timeout_s: float) -> api.SIPParticipantInfo:
    """What the server says of the dial; `active` is set when the room shows that somebody has answered.

    Raises TimeoutError also when the phone was answered and nobody tells us so.
    """
    keys = settings.LIVEKIT_URL, settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET
    # A client that tries again would ring twice.
    async with api.LiveKitAPI(*keys, failover=False) as client:
        asked = asyncio.ensure_future(client.sip.create_sip_participant(request, timeout=timeout_s))
        seen = asyncio.create_task(active.wait())
        try:
            await asyncio.wait([asked, seen], return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                await asyncio.wait([asked], timeout=TOLD_WITHIN_S)
            if not asked.done():
                raise TimeoutError("the phone was answered, and the server does not say so")
            return asked.result()
        finally:
            for task in (asked, seen):
                task.cancel()
            await asyncio.wait([asked, seen])


def outcome_of(error: api.TwirpError) -> DialOutcome:
    known = error.metadata or {}
    status = known.get("sip_status_code", "")
    return of_error(
        code=error.code, sip_status=int(status) if status.isdigit() else None, text=known.get("sip_status") or error.message
    )
