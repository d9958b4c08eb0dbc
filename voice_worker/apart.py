"""Two phones in one room that must not hear each other yet, and an agent that talks to each of them alone.

The server lets everybody hear everybody. What the agent publishes is kept from others by permissions of its own, which
hold before anybody comes. What a phone publishes is kept from another by taking the subscription away, which has an effect
only once there is one: so it is done again and again.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
import structlog
from livekit import api, rtc
from livekit.agents import JobContext
from livekit.rtc import ParticipantTrackPermission

logger = structlog.get_logger(__name__)

_AT_FIRST_S: Final = 3.0
_OFTEN_S, _SELDOM_S = 0.1, 1.0
_ASK_S: Final = 3.0
_LASTS_S: Final = 1.0
"""A subscription is there so long after the track at the latest."""
_TRIES: Final = 3


class Apart:
    """Keeps `caller` and `other` apart from the moment the other one comes, until `join` or `stop`."""

    def __init__(self, ctx: JobContext, *, caller: str, other: str) -> None:
        self._ctx, self._caller, self._other = ctx, caller, other
        self._is_sure = asyncio.Event()
        self._came = asyncio.Event()
        ctx.room.on("track_published", self._on_published)
        self._task = asyncio.create_task(self._keep())

    async def sure(self) -> None:
        """Returns when neither can hear the other any more."""
        await self._is_sure.wait()

    async def join(self) -> None:
        """They hear each other. Raises what the server's client raises."""
        await self.stop()
        for _ in range(_TRIES - 1):
            with contextlib.suppress(api.TwirpError, aiohttp.ClientError, OSError, TimeoutError):
                return await self._subscribe(subscribe=True)
        return await self._subscribe(subscribe=True)

    async def stop(self) -> None:
        if self._task.done():
            return
        self._ctx.room.off("track_published", self._on_published)
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _keep(self) -> None:
        await self._came.wait()
        began = time.monotonic()
        while True:
            asked_s = time.monotonic() - began
            try:
                await self._subscribe(subscribe=False)
                if asked_s >= _LASTS_S:
                    self._is_sure.set()
            except (api.TwirpError, aiohttp.ClientError, OSError, TimeoutError) as error:
                logger.warning("two phones may not be apart", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(_OFTEN_S if asked_s < _AT_FIRST_S else _SELDOM_S)

    async def _subscribe(self, *, subscribe: bool) -> None:
        pairs = ((self._caller, self._other), (self._other, self._caller))
        async with asyncio.timeout(_ASK_S):
            await asyncio.gather(*(self._hears(who, of=whom, subscribe=subscribe) for who, whom in pairs))

    async def _hears(self, who: str, *, of: str, subscribe: bool) -> None:
        there = self._ctx.room.remote_participants.get(of)
        sids = list(there.track_publications) if there else []
        if sids and who in self._ctx.room.remote_participants:
            request = api.UpdateSubscriptionsRequest(
                room=self._ctx.job.room.name, identity=who, track_sids=sids, subscribe=subscribe
            )
            await self._ctx.api.room.update_subscriptions(request)

    def _on_published(self, _publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._other:
            self._came.set()


def talk_apart(room: rtc.Room, *, to: Mapping[str, Sequence[str]], everything: Sequence[str] = ()) -> None:
    """Who may hear which of the agent's tracks, by their sids; `everything` may hear all, and nobody else any."""
    permissions = [ParticipantTrackPermission(participant_identity=who, allowed_track_sids=sids) for who, sids in to.items()]
    permissions += [ParticipantTrackPermission(participant_identity=who, allow_all=True) for who in everything]
    room.local_participant.set_track_subscription_permissions(allow_all_participants=False, participant_permissions=permissions)


def talk_to_all(room: rtc.Room) -> None:
    room.local_participant.set_track_subscription_permissions(allow_all_participants=True)
