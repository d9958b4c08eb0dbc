"""Members of the staff who come into a call's room to take the agent's place."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import aiohttp
import structlog
from livekit import api, rtc
from livekit.agents import JobContext, stt

from calls.telephony.names import supervision_of
from voice_worker.audio import CallClock, Tap, Taps
from voice_worker.line import Said, Told
from voice_worker.overhearing import Overhearing
from voice_worker.room_tracks import microphone_of

logger = structlog.get_logger(__name__)

_AWAY_S: Final = 4.0
_LOOK_S: Final = 0.5
SILENT_S: Final = 3.0
"""From whom nothing has arrived for so long, is taken for gone; a microphone sends something also while nobody speaks."""
HAND_BACK_S: Final = 3.0
"""How long the agent waits for a supervisor who has gone: their connection may come back."""


class RoomSupervisors:
    """Those of a room. Who only listens is hidden from it, and each comes in once: a second one in their name is sent away."""

    def __init__(
        self,
        ctx: JobContext,
        *,
        clock: CallClock,
        append: Callable[[Mapping[str, Any]], None],
        microphone: Callable[[rtc.RemoteParticipant], rtc.AudioStream] = microphone_of,
    ) -> None:
        self._ctx, self._clock, self._microphone = ctx, clock, microphone
        self._append = append
        self._taps = Taps()
        self._hears: dict[UUID, Overhearing] = {}
        self._said: Said | None = None
        self._hearing: Callable[[], stt.STT] | None = None
        self._joined: Told | None = None
        self._left: Told | None = None
        self._sids: dict[UUID, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        ctx.room.on("participant_connected", self._on_joined)
        ctx.room.on("participant_disconnected", self._on_left)

    def listen(self, *, joined: Told, left: Told, said: Said, hearing: Callable[[], stt.STT]) -> None:
        self._joined, self._left, self._said, self._hearing = joined, left, said, hearing
        for participant in self._ctx.room.remote_participants.values():
            self._on_joined(participant)

    def add_tap(self, tap: Tap) -> None:
        self._taps.add(tap)

    async def aclose(self) -> None:
        for hears in self._hears.values():
            await hears.aclose()

    def _on_joined(self, participant: rtc.RemoteParticipant) -> None:
        supervision_id = supervision_of(participant.identity)
        if supervision_id is None or self._joined is None:
            return
        if self._sids.setdefault(supervision_id, participant.sid) != participant.sid:
            self._spawn(self._send_away(participant.identity))
            return
        self._note(supervision_id, participant.sid, "joined_at")
        self._joined(participant.identity)
        self._spawn(self._watch(participant))
        if self._said and self._hearing:
            if before := self._hears.pop(supervision_id, None):
                self._spawn(before.aclose())
            self._hears[supervision_id] = Overhearing(
                self._microphone(participant),
                hearing=self._hearing(),
                clock=self._clock,
                frame=self._taps.agent_frame,
                said=self._said,
            )

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        supervision_id = supervision_of(participant.identity)
        if supervision_id and self._left and self._sids.get(supervision_id) == participant.sid:
            self._note(supervision_id, participant.sid, "left_at")
            self._left(participant.identity)

    async def _watch(self, participant: rtc.RemoteParticipant) -> None:
        """The server takes twenty seconds to give up somebody whose browser died; that nothing comes from them shows sooner."""
        identity, received, silent_s, is_lost = participant.identity, -1, 0.0, False
        while self._is_here(participant):
            await asyncio.sleep(_LOOK_S)
            arrived = await _packets(participant)
            silent_s = silent_s + _LOOK_S if arrived is not None and arrived == received else 0.0
            received = -1 if arrived is None else arrived
            if (silent_s >= SILENT_S) == is_lost or not self._is_here(participant):
                continue
            is_lost = not is_lost
            logger.warning("a supervisor was lost" if is_lost else "a supervisor is back", identity=identity)
            if told := self._left if is_lost else self._joined:
                told(identity)

    def _is_here(self, participant: rtc.RemoteParticipant) -> bool:
        there = self._ctx.room.remote_participants.get(participant.identity)
        return there is not None and there.sid == participant.sid and self._ctx.room.isconnected()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_away(self, identity: str) -> None:
        logger.warning("somebody came in with an admission that was used", identity=identity)
        who = api.RoomParticipantIdentity(room=self._ctx.job.room.name, identity=identity)
        try:
            async with asyncio.timeout(_AWAY_S):
                await self._ctx.api.room.remove_participant(who)
        except (api.TwirpError, aiohttp.ClientError, OSError, TimeoutError) as error:
            logger.warning("they could not be sent away", error=f"{type(error).__name__}: {error}")

    def _note(self, supervision_id: UUID, sid: str, what: str) -> None:
        at = datetime.now(UTC).isoformat()
        self._append({"op": "supervisor", "supervision_id": str(supervision_id), "participant_sid": sid, what: at})


async def _packets(participant: rtc.RemoteParticipant) -> int | None:
    """How much sound has arrived from them; None where none is to be expected."""
    for publication in participant.track_publications.values():
        if publication.track is None or publication.muted or publication.kind != rtc.TrackKind.KIND_AUDIO:
            continue
        try:
            stats = await publication.track.get_stats()
        except Exception:  # noqa: BLE001 - of no class of its own; the track may have gone meanwhile
            return None
        return sum(each.inbound_rtp.received.packets_received for each in stats if each.WhichOneof("stats") == "inbound_rtp")
    return None
