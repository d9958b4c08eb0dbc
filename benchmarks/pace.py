"""Begins calls on a trunk as fast as its turns come, without jobs: one of several processes that share the trunk."""

import asyncio
import contextlib
import sys
import time
from functools import partial
from typing import Final
from uuid import UUID, uuid4

import aiohttp
from django.conf import settings
from livekit import api

from calls.services.pacing import take_turn
from voice_worker.database import in_database

_FULL_S: Final = 0.2
"""How long to wait when the next turn is too far ahead."""


async def begin_calls(trunk_id: UUID, *, livekit_id: str, phone: str, seconds: float) -> None:
    """Prints the room of each call, the moment of its turn on the monotonic clock and the moment it was asked for."""
    ends, begun = time.monotonic() + seconds, set[asyncio.Task[None]]()
    keys = settings.LIVEKIT_URL, settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET
    async with api.LiveKitAPI(*keys, failover=False) as client:
        while time.monotonic() < ends:
            turn = await in_database(partial(take_turn, trunk_id))
            if turn is None:
                await asyncio.sleep(_FULL_S)
                continue
            due = time.monotonic() + turn.in_s
            begun.add(asyncio.create_task(_begin(client, due, livekit_id=livekit_id, phone=phone)))
        await asyncio.gather(*begun)


async def _begin(client: api.LiveKitAPI, due: float, *, livekit_id: str, phone: str) -> None:
    room = f"pace-{uuid4().hex[:12]}"
    request = api.CreateSIPParticipantRequest(
        room_name=room, sip_trunk_id=livekit_id, sip_call_to=phone, participant_identity="callee", wait_until_answered=False
    )
    await asyncio.sleep(max(0.0, due - time.monotonic()))
    print(room, due, time.monotonic(), flush=True)
    # Whether the server answers in time is another matter.
    with contextlib.suppress(api.TwirpError, aiohttp.ClientError, TimeoutError):
        await client.sip.create_sip_participant(request, timeout=60)


if __name__ == "__main__":
    _, trunk, livekit, called, duration = sys.argv
    asyncio.run(begin_calls(UUID(trunk), livekit_id=livekit, phone=called, seconds=float(duration)))
