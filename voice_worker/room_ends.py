"""The far side of a call in a LiveKit room: one participant's microphone, and a track of our own."""

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import structlog
from livekit import rtc
from livekit.agents import JobContext
from livekit.agents.voice import io

from voice_worker.audio import FRAME, RATE, CallClock, Int16Array, PlayedOutput, Tap, Taps
from voice_worker.entrypoint import Append, EndsFactory
from voice_worker.keys import Keys, RoomKeys
from voice_worker.line import Refer, Supervisors
from voice_worker.providers.base import ProviderConfigError
from voice_worker.referring import RoomRefer
from voice_worker.rooms import close_room, join
from voice_worker.snapshot import CallSnapshot
from voice_worker.supervisors import RoomSupervisors

logger = structlog.get_logger(__name__)

COMES_S: Final = 60.0
_UNSENT: Final = 25
_MS: Final = 1000 * FRAME // RATE
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


def microphone_of(participant: rtc.RemoteParticipant) -> rtc.AudioStream:
    return rtc.AudioStream.from_participant(
        participant=participant,
        track_source=rtc.TrackSource.SOURCE_MICROPHONE,
        sample_rate=RATE,
        num_channels=1,
        frame_size_ms=_MS,
    )


def reason_of(participant: rtc.RemoteParticipant) -> str:
    """Why they left, as far as their connection tells."""
    return _REASONS.get(participant.disconnect_reason or 0, LOST)


class RoomInput(io.AudioInput):
    """What a participant says; every frame is also heard by the taps."""

    def __init__(self, participant: rtc.RemoteParticipant, *, clock: CallClock, taps: Taps) -> None:
        super().__init__(label="RoomInput")
        self._stream = microphone_of(participant)
        self._clock = clock
        self._taps = taps

    async def __anext__(self) -> rtc.AudioFrame:
        return self._heard((await self._stream.__anext__()).frame)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _heard(self, frame: rtc.AudioFrame) -> rtc.AudioFrame:
        at = self._clock.now() - frame.duration
        self._taps.caller_frame(np.frombuffer(frame.data, dtype=np.int16), at)
        return frame


class AgentTrack:
    """A tap that plays into the room what the player plays."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._source = rtc.AudioSource(RATE, 1)
        self._frames: deque[Int16Array] = deque(maxlen=_UNSENT)
        self._wake = asyncio.Event()
        self._playing: asyncio.Task[None] | None = None

    def caller_frame(self, pcm: Int16Array, at: float) -> None:
        """Only the agent is played."""

    def agent_frame(self, pcm: Int16Array, at: float) -> None:
        self._frames.append(pcm)
        self._wake.set()

    async def publish(self) -> None:
        """Publish it once; somebody who calls in is answered by that."""
        if self._playing:
            return
        self._playing = asyncio.create_task(self._play())
        track = rtc.LocalAudioTrack.create_audio_track("agent", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self._room.local_participant.publish_track(track, options)

    async def aclose(self) -> None:
        if self._playing:
            self._playing.cancel()
        await self._source.aclose()

    async def _play(self) -> None:
        while True:
            while self._frames:
                pcm = self._frames.popleft()
                await self._source.capture_frame(rtc.AudioFrame(pcm.tobytes(), RATE, 1, len(pcm)))
            self._wake.clear()
            await self._wake.wait()


class RoomEnds:
    """`CallEnds` for a room somebody else is in. Their leg is written down with its times and its end."""

    left: asyncio.Event
    left_reason: str
    keys: Keys | None
    refer: Refer | None
    supervisors: Supervisors | None

    def __init__(
        self, ctx: JobContext, participant: rtc.RemoteParticipant, *, track: AgentTrack, clock: CallClock, append: Append
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
        self.supervisors = RoomSupervisors(ctx, append=append)
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
        self._leave("agent_hung_up")
        await close_room(self._ctx)

    async def aclose(self) -> None:
        self._player.close()
        await self._microphone.aclose()
        await self._track.aclose()

    def _listen(self, clock: CallClock) -> RoomInput:
        return RoomInput(self._participant, clock=clock, taps=self._taps)

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._participant.identity:
            self._leave(reason_of(participant))

    def _on_disconnected(self, reason: Any) -> None:
        self._leave(_REASONS.get(int(reason or 0), LOST))

    def _leave(self, reason: str) -> None:
        if self.left.is_set():
            return
        self.left_reason = reason
        self.left.set()
        leg = {"op": "leg", "identity": self._participant.identity, "ended_at": _now(), "end_reason": reason}
        self._append(leg)


def room_ends(ctx: JobContext) -> EndsFactory:
    """Joins the job's room and waits for somebody. The factory raises ProviderConfigError when nobody comes."""

    async def connect(_snapshot: CallSnapshot, clock: CallClock, append: Append) -> RoomEnds:
        await join(ctx)
        try:
            async with asyncio.timeout(COMES_S):
                participant = await ctx.wait_for_participant()
        except (TimeoutError, RuntimeError) as error:
            raise ProviderConfigError(f"Nobody could be talked to in room {ctx.room.name}: {error}") from error
        note_caller(participant, append)
        return RoomEnds(ctx, participant, track=AgentTrack(ctx.room), clock=clock, append=append)

    return connect


def note_caller(participant: rtc.RemoteParticipant, append: Append) -> None:
    """Write down who is answered now."""
    attributes = participant.attributes
    leg = {"op": "leg", "identity": participant.identity, "role": "caller", "started_at": _now(), "answered_at": _now()}
    append({**leg, "phone": attributes.get("sip.phoneNumber", ""), "carrier_id": attributes.get("sip.callID", "")})


def _now() -> str:
    return datetime.now(UTC).isoformat()
