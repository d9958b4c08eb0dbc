"""One phone in a room that is not the caller's: what is said there and to it, the keys pressed, and its leg's times."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from livekit import rtc
from livekit.agents import stt

from voice_worker.answering import Heard
from voice_worker.audio import CallClock
from voice_worker.keys import RoomKeys
from voice_worker.line import Told
from voice_worker.opening_ear import OpeningEar
from voice_worker.overhearing import Overhearing, Words
from voice_worker.room_tracks import AgentTrack, microphone_of

_STATUS: Final = "sip.callStatus"


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
        self._hears: Overhearing | None = None
        room.on("participant_connected", self._on_connected)
        room.on("participant_attributes_changed", self._on_attributes)
        room.on("participant_disconnected", self._on_left)

    def hear(self, hearing: stt.STT) -> None:
        """From now on; they are in the room."""
        self._ear.start_again()
        stream = microphone_of(self._room.remote_participants[self.identity])
        self._hears = Overhearing(stream, hearing=hearing, clock=self._clock, frame=self._ear.caller_frame, said=self._understood)

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
        if self._hears:
            await self._hears.aclose()

    def _understood(self, words: Words) -> None:
        self._words.append(words.text)
        self._on_words(words.text)

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
