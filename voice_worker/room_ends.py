"""The far side of a call in a LiveKit room: one participant's microphone, and a track of our own."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from livekit import rtc
from livekit.agents import JobContext
from livekit.agents.voice import io

from voice_worker.audio import CallClock, PlayedOutput, Tap, Taps
from voice_worker.colleagues import RoomColleagues
from voice_worker.entrypoint import Append, EndsFactory, Job
from voice_worker.keys import Keys, RoomKeys
from voice_worker.line import Colleagues, Refer, Supervisors
from voice_worker.providers.base import ProviderConfigError
from voice_worker.referring import RoomRefer
from voice_worker.room_tracks import AgentTrack, RoomInput, microphone_of
from voice_worker.rooms import close_room, join
from voice_worker.snapshot import CallSnapshot
from voice_worker.supervisors import RoomSupervisors

logger = structlog.get_logger(__name__)

COMES_S: Final = 60.0
HUNG_UP: Final = "hung_up"
LOST: Final = "connection_lost"
# What a phone's leaving means; anything else is the connection's doing.
_REASONS: Final[Mapping[int, str]] = {
    rtc.DisconnectReason.CLIENT_INITIATED: HUNG_UP,
    rtc.DisconnectReason.USER_REJECTED: HUNG_UP,
    rtc.DisconnectReason.USER_UNAVAILABLE: HUNG_UP,
    rtc.DisconnectReason.PARTICIPANT_REMOVED: "removed",
    rtc.DisconnectReason.ROOM_DELETED: "room_closed",
    rtc.DisconnectReason.ROOM_CLOSED: "room_closed",
}


def reason_of(participant: rtc.RemoteParticipant) -> str:
    """Why they left, as far as their connection tells."""
    return _REASONS.get(participant.disconnect_reason or 0, LOST)


class RoomEnds:
    """`CallEnds` for a room somebody else is in. Their leg is written down with its times and its end."""

    left: asyncio.Event
    left_reason: str
    keys: Keys | None
    refer: Refer | None
    supervisors: Supervisors | None
    colleagues: Colleagues | None

    def __init__(
        self,
        ctx: JobContext,
        participant: rtc.RemoteParticipant,
        *,
        track: AgentTrack,
        clock: CallClock,
        append: Append,
        job: Job,
    ) -> None:
        self._ctx = ctx
        self._room = ctx.room
        self._participant = participant
        self._append = append
        self._taps = Taps()
        self._track = track
        self._taps.add(track)
        self._microphone = self._listen(clock)
        self.audio_input: io.AudioInput = self._microphone
        self._player = PlayedOutput(clock, heard=self._taps.agent_frame)
        self.audio_output: io.AudioOutput = self._player
        self.left, self.left_reason = asyncio.Event(), ""
        is_phone = participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP
        self.keys = RoomKeys(ctx.room, participant.identity) if is_phone else None
        self.refer = RoomRefer(ctx, participant.identity) if is_phone else None
        self._supervisors = RoomSupervisors(ctx, clock=clock, append=append)
        self.supervisors = self._supervisors
        self._colleagues = RoomColleagues(
            ctx, job, caller=participant, track=track, hears=self._microphone, clock=clock, append=append
        )
        self.colleagues = self._colleagues if is_phone else None
        self._room.on("participant_disconnected", self._on_left)
        self._room.on("disconnected", self._on_disconnected)
        # Who left before anybody listened tells nobody any more.
        if participant.identity not in self._room.remote_participants:
            self._leave(HUNG_UP)

    def add_tap(self, tap: Tap) -> None:
        self._taps.add(tap)

    async def start(self) -> None:
        await self._track.publish()

    async def hang_up(self) -> None:
        if self._colleagues.has_left:
            await self._room.disconnect()
            return
        self._leave("agent_hung_up")
        await close_room(self._ctx)

    async def aclose(self) -> None:
        self._player.close()
        await self._colleagues.aclose()
        await self._supervisors.aclose()
        await self._microphone.aclose()
        await self._track.aclose()

    def _listen(self, clock: CallClock) -> RoomInput:
        return RoomInput(microphone_of(self._participant), clock=clock, taps=self._taps)

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._participant.identity:
            self._leave(reason_of(participant))

    def _on_disconnected(self, reason: Any) -> None:
        self._leave(_REASONS.get(int(reason or 0), LOST))

    def _leave(self, reason: str) -> None:
        # Who was handed over is still there, and others tell when they leave.
        if self.left.is_set() or self._colleagues.has_left:
            return
        self.left_reason = reason
        self.left.set()
        leg = {"op": "leg", "identity": self._participant.identity, "ended_at": _now(), "end_reason": reason}
        self._append(leg)


def room_ends(ctx: JobContext, job: Job) -> EndsFactory:
    """Joins the job's room and waits for somebody. The factory raises ProviderConfigError when nobody comes."""

    async def connect(_snapshot: CallSnapshot, clock: CallClock, append: Append) -> RoomEnds:
        await join(ctx)
        try:
            async with asyncio.timeout(COMES_S):
                participant = await ctx.wait_for_participant()
        except (TimeoutError, RuntimeError) as error:
            raise ProviderConfigError(f"Nobody could be talked to in room {ctx.room.name}: {error}") from error
        note_caller(participant, append)
        return RoomEnds(ctx, participant, track=AgentTrack(ctx.room), clock=clock, append=append, job=job)

    return connect


def note_caller(participant: rtc.RemoteParticipant, append: Append) -> None:
    """Write down who is answered now."""
    attributes = participant.attributes
    leg = {"op": "leg", "identity": participant.identity, "role": "caller", "started_at": _now(), "answered_at": _now()}
    append({**leg, "phone": attributes.get("sip.phoneNumber", ""), "carrier_id": attributes.get("sip.callID", "")})


def _now() -> str:
    return datetime.now(UTC).isoformat()
