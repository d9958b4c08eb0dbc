"""The sound of a room, both ways: a participant's microphone, and tracks of our own."""

import asyncio
from collections import deque
from typing import Final

import numpy as np
from livekit import rtc
from livekit.agents.voice import io

from voice_worker.audio import FRAME, RATE, CallClock, Int16Array, Taps
from voice_worker.briefing import frames

_UNSENT: Final = 25
_MS: Final = 1000 * FRAME // RATE


def microphone_of(participant: rtc.RemoteParticipant) -> rtc.AudioStream:
    return rtc.AudioStream.from_participant(
        participant=participant,
        track_source=rtc.TrackSource.SOURCE_MICROPHONE,
        sample_rate=RATE,
        num_channels=1,
        frame_size_ms=_MS,
    )


class RoomInput(io.AudioInput):
    """What a participant says; every frame is also heard by the taps. While it `is_deaf` the session hears silence."""

    def __init__(self, stream: rtc.AudioStream, *, clock: CallClock, taps: Taps) -> None:
        super().__init__(label="RoomInput")
        self._stream = stream
        self._clock = clock
        self._taps = taps
        self.is_deaf = False

    async def __anext__(self) -> rtc.AudioFrame:
        return self._heard((await self._stream.__anext__()).frame)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _heard(self, frame: rtc.AudioFrame) -> rtc.AudioFrame:
        at = self._clock.now() - frame.duration
        self._taps.caller_frame(np.frombuffer(frame.data, dtype=np.int16), at)
        return _silent(frame) if self.is_deaf else frame


class AgentTrack:
    """A tap that plays into the room what the player plays, or what it is given while the player is silent."""

    def __init__(self, room: rtc.Room, *, name: str = "agent") -> None:
        self.sid = ""
        self._room, self._name = room, name
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
        track = rtc.LocalAudioTrack.create_audio_track(self._name, self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        self.sid = (await self._room.local_participant.publish_track(track, options)).sid

    async def play(self, pcm: bytes) -> None:
        """Returns when it has sounded; cancelled, it falls silent at once."""
        try:
            for frame in frames(pcm):
                await self._source.capture_frame(rtc.AudioFrame(frame, RATE, 1, FRAME))
            await self._source.wait_for_playout()
        except asyncio.CancelledError:
            self._source.clear_queue()
            raise

    async def unpublish(self) -> None:
        if self._room.isconnected():
            await self._room.local_participant.unpublish_track(self.sid)
        await self.aclose()

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


def _silent(frame: rtc.AudioFrame) -> rtc.AudioFrame:
    return rtc.AudioFrame(bytes(len(frame.data.cast("B"))), frame.sample_rate, frame.num_channels, frame.samples_per_channel)
