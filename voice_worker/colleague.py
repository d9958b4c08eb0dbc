"""One phone in a room that is not the caller's: what is said there and to it, the keys pressed, and its leg's times."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import structlog
from livekit import rtc
from livekit.agents import stt

from voice_worker.answering import Heard
from voice_worker.audio import FRAME, RATE, CallClock
from voice_worker.keys import RoomKeys
from voice_worker.line import Told
from voice_worker.opening_ear import OpeningEar
from voice_worker.room_tracks import AgentTrack

logger = structlog.get_logger(__name__)

_STATUS: Final = "sip.callStatus"
_MS: Final = 1000 * FRAME // RATE


class RoomColleague:
    """Made before the phone is dialed. `active` is set when it has answered and all ordered keys are pressed."""

    def __init__(
        self,
        room: rtc.Room,
        identity: str,
        *,
        clock: CallClock,
        track: AgentTrack,
        append: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.identity = identity
        self.left, self.active = asyncio.Event(), asyncio.Event()
        self._room, self._clock, self._track, self._append = room, clock, track, append
        self._keys = RoomKeys(room, identity)
        self._ear = OpeningEar(clock)
        self._on_words: Told = lambda text: None
        self._words: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stream: rtc.AudioStream | None = None
        room.on("participant_connected", self._on_connected)
        room.on("participant_attributes_changed", self._on_attributes)
        room.on("participant_disconnected", self._on_left)

    def hear(self, hearing: stt.STT) -> None:
        """From now on; they are in the room."""
        self._ear.start_again()
        self._stream = rtc.AudioStream.from_participant(
            participant=self._room.remote_participants[self.identity],
            track_source=rtc.TrackSource.SOURCE_MICROPHONE,
            sample_rate=RATE,
            num_channels=1,
            frame_size_ms=_MS,
        )
        words = hearing.stream()
        self._tasks = [asyncio.create_task(self._listen(self._stream, words)), asyncio.create_task(self._understand(words))]

    def listen(self, *, on_key: Told, on_words: Told) -> None:
        self._on_words = on_words
        self._keys.listen(on_key)

    def heard(self) -> Heard:
        return self._ear.heard(" ".join(self._words), awaits_words=False)

    async def say(self, pcm: bytes) -> None:
        await self._track.play(pcm)

    async def aclose(self) -> None:
        self._room.off("participant_connected", self._on_connected)
        self._room.off("participant_attributes_changed", self._on_attributes)
        self._room.off("participant_disconnected", self._on_left)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._stream:
            await self._stream.aclose()

    async def _listen(self, stream: rtc.AudioStream, words: stt.RecognizeStream) -> None:
        async for event in stream:
            at = self._clock.now() - event.frame.duration
            self._ear.caller_frame(np.frombuffer(event.frame.data, dtype=np.int16), at)
            # Where nobody understands them any more, there are still the keys.
            with contextlib.suppress(RuntimeError):
                words.push_frame(event.frame)

    async def _understand(self, words: stt.RecognizeStream) -> None:
        try:
            async with words:
                async for event in words:
                    if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT and event.alternatives:
                        self._words.append(event.alternatives[0].text)
                        self._on_words(self._words[-1])
        except Exception as error:  # noqa: BLE001 of whatever class the provider's is
            logger.warning("a colleague is not understood", error=type(error).__name__)

    def _on_connected(self, participant: rtc.RemoteParticipant) -> None:
        self._on_attributes(participant.attributes, participant)

    def _on_attributes(self, changed: Mapping[str, str], participant: Any) -> None:
        if participant.identity != self.identity or self.active.is_set():
            return
        status = changed.get(_STATUS)
        if status == "ringing":
            self._note("ringing_at")
        elif status in ("automation", "active"):
            self._note("answered_at")
        if status == "active":
            self.active.set()

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self.identity:
            self.left.set()

    def _note(self, what: str) -> None:
        self._append({"op": "leg", "identity": self.identity, what: datetime.now(UTC).isoformat()})
