"""The far side of a call in a LiveKit room: one participant's microphone, and a track of our own."""

import asyncio
from collections import deque
from typing import Final

import numpy as np
from livekit import rtc
from livekit.agents import JobContext
from livekit.agents.voice import io

from voice_worker.audio import FRAME, RATE, CallClock, Int16Array, PlayedOutput, Tap, Taps
from voice_worker.entrypoint import EndsFactory
from voice_worker.providers.base import ProviderConfigError
from voice_worker.snapshot import CallSnapshot

JOIN_S: Final = 15.0
COMES_S: Final = 60.0
_UNSENT: Final = 25
_MS: Final = 1000 * FRAME // RATE


class RoomInput(io.AudioInput):
    """What a participant says; every frame is also heard by the taps."""

    def __init__(self, stream: rtc.AudioStream, *, clock: CallClock, taps: Taps) -> None:
        super().__init__(label="RoomInput")
        self._stream = stream
        self._clock = clock
        self._taps = taps

    async def __anext__(self) -> rtc.AudioFrame:
        frame = (await self._stream.__anext__()).frame
        at = self._clock.now() - frame.duration
        self._taps.caller_frame(np.frombuffer(frame.data, dtype=np.int16), at)
        return frame


class _Speaker:
    """A tap that plays into the room what the player plays."""

    def __init__(self, source: rtc.AudioSource) -> None:
        self._source = source
        self._frames: deque[Int16Array] = deque(maxlen=_UNSENT)
        self._wake = asyncio.Event()

    def caller_frame(self, pcm: Int16Array, at: float) -> None:
        """Only the agent is played."""

    def agent_frame(self, pcm: Int16Array, at: float) -> None:
        self._frames.append(pcm)
        self._wake.set()

    async def run(self) -> None:
        while True:
            while self._frames:
                pcm = self._frames.popleft()
                await self._source.capture_frame(rtc.AudioFrame(pcm.tobytes(), RATE, 1, len(pcm)))
            self._wake.clear()
            await self._wake.wait()


class RoomEnds:
    """`CallEnds` for a room somebody else is in."""

    left: asyncio.Event
    left_reason: str

    def __init__(self, ctx: JobContext, participant: rtc.RemoteParticipant, *, clock: CallClock) -> None:
        self._room = ctx.room
        self._participant = participant
        self._taps = Taps()
        self._source = rtc.AudioSource(RATE, 1)
        speaker = _Speaker(self._source)
        self._taps.add(speaker)
        stream = rtc.AudioStream.from_participant(
            participant=participant,
            track_source=rtc.TrackSource.SOURCE_MICROPHONE,
            sample_rate=RATE,
            num_channels=1,
            frame_size_ms=_MS,
        )
        self._stream = stream
        self.audio_input: io.AudioInput = RoomInput(stream, clock=clock, taps=self._taps)
        self._player = PlayedOutput(clock, heard=self._taps.agent_frame)
        self.audio_output: io.AudioOutput = self._player
        self.left, self.left_reason = asyncio.Event(), ""
        self._room.on("participant_disconnected", self._on_left)
        self._room.on("disconnected", lambda *_: self._leave("room_closed"))
        self._speaking = asyncio.create_task(speaker.run())

    def add_tap(self, tap: Tap) -> None:
        self._taps.add(tap)

    async def start(self) -> None:
        track = rtc.LocalAudioTrack.create_audio_track("agent", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self._room.local_participant.publish_track(track, options)

    async def hang_up(self) -> None:
        self.left_reason = self.left_reason or "agent_hung_up"
        await self._room.disconnect()

    async def aclose(self) -> None:
        self._speaking.cancel()
        self._player.close()
        await self._stream.aclose()
        await self._source.aclose()

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._participant.identity:
            self._leave("caller_hung_up")

    def _leave(self, reason: str) -> None:
        self.left_reason = self.left_reason or reason
        self.left.set()


def room_ends(ctx: JobContext) -> EndsFactory:
    """Joins the job's room and waits for somebody. The factory raises ProviderConfigError when nobody comes."""

    async def connect(snapshot: CallSnapshot, clock: CallClock) -> RoomEnds:
        try:
            async with asyncio.timeout(JOIN_S):
                await ctx.connect()
            async with asyncio.timeout(COMES_S):
                participant = await ctx.wait_for_participant()
        except (TimeoutError, RuntimeError, rtc.ConnectError) as error:
            raise ProviderConfigError(f"Nobody could be talked to in room {ctx.room.name}: {error}") from error
        return RoomEnds(ctx, participant, clock=clock)

    return connect
