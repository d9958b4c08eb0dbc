"""One phone in a room, with the attributes, sounds and manners of a SIP participant."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from livekit import api, rtc

from voice_worker.audio import FRAME, FRAME_S, RATE, Int16Array
from voice_worker.simulation.carrier.log import CarrierLog

By = Literal["phone", "agent", "carrier", "room"]
Ear = Callable[[Int16Array], None]

DIGIT_CODES: Final = {digit: code for code, digit in enumerate("0123456789*#ABCD")}
_STATUS: Final = "sip.callStatus"
_DIGIT_S: Final = 0.25
_PAUSE_S: Final = 0.5
_QUEUED_MS: Final = 200
_LEAVE_S: Final = 5.0
_OURS: Final = {rtc.DisconnectReason.PARTICIPANT_REMOVED, rtc.DisconnectReason.ROOM_DELETED, rtc.DisconnectReason.ROOM_CLOSED}


@dataclass(frozen=True, slots=True)
class Server:
    """A LiveKit server and the key to it."""

    url: str
    key: str
    secret: str


@dataclass(frozen=True, slots=True)
class Seat:
    """Whom the leg is in its room."""

    room: str
    identity: str
    name: str
    metadata: str
    attributes: Mapping[str, str]
    room_config: api.RoomConfiguration | None = None

    def token(self, server: Server) -> str:
        grants = api.VideoGrants(room_join=True, room=self.room, can_update_own_metadata=True)
        token = api.AccessToken(server.key, server.secret).with_identity(self.identity).with_kind("sip").with_grants(grants)
        token = token.with_name(self.name).with_metadata(self.metadata).with_attributes(dict(self.attributes))
        return (token.with_room_config(self.room_config) if self.room_config else token).to_jwt()


class Leg:
    """It ends once, whoever ends it: `on_ending` is told, then the end is written down, then `over` is set."""

    def __init__(self, call_id: str, *, log: CarrierLog, spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]) -> None:
        self.id, self.room, self.over = call_id, rtc.Room(), asyncio.Event()
        self.reason, self.asked = "", round(time.monotonic(), 6)
        self.answered, self.heard_somebody = False, asyncio.Event()
        self.on_ending: list[Callable[[], None]] = []
        self.on_said: list[Ear] = []
        self._log, self._spawn = log, spawn
        self._source: rtc.AudioSource | None = None
        self._tracks: list[rtc.Track] = []
        self._ears: list[Callable[[], Ear]] = []
        self._digits: deque[str] = deque()
        self._digit_came = asyncio.Event()
        self.room.on("disconnected", self._on_disconnected)
        self.room.on("track_subscribed", self._on_track)
        self.room.on("sip_dtmf_received", self._on_digit)

    async def join(self, server: Server, seat: Seat, *, thin: bool = False) -> None:
        """Enters the room and publishes the phone's track, which is without media where the leg is thin.

        Raises rtc.ConnectError and rtc.PublishTrackError.
        """
        await self.room.connect(server.url, seat.token(server), rtc.RoomOptions(auto_subscribe=True))
        # A source with a queue sends silence all the time.
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=0 if thin else _QUEUED_MS)
        track = rtc.LocalAudioTrack.create_audio_track("phone", self._source)
        await self.room.local_participant.publish_track(
            track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
        )

    async def tell_status(self, status: str) -> None:
        with contextlib.suppress(Exception):  # the room may be gone, which is told elsewhere
            await self.room.local_participant.set_attributes({_STATUS: status})

    async def ring(self) -> None:
        self.write("ringing")
        await self.tell_status("ringing")

    async def answer(self, *, dtmf: str = "") -> None:
        """`dtmf` are digits the agent's side has ordered beforehand."""
        self.answered = True
        self.write("answer")
        if dtmf:
            await self.tell_status("automation")
        for digit in dtmf:
            await asyncio.sleep(_PAUSE_S if digit == "w" else _DIGIT_S)
            if digit != "w":
                self.hear_digit(digit)
        await self.tell_status("active")

    async def end(self, by: By, reason: str, *, status: int = 0, text: str = "", leaves_as: int = 1) -> None:
        """`leaves_as` is the disconnect reason that the others in the room see."""
        if self._close(by, reason, status=status, text=text):
            # Whoever ends a leg may be cancelled because it has ended.
            await asyncio.shield(self._spawn(self._leave(leaves_as)))

    def write(self, event: str, /, **values: Any) -> None:
        if not self.over.is_set():
            self._log.write(event, leg=self.id, **values)

    def listen(self, make_ear: Callable[[], Ear]) -> None:
        """Hears every track of the others from now on, with an ear for each."""
        self._ears.append(make_ear)
        for track in self._tracks:
            self._spawn(self._hear(track, make_ear()))

    async def play(self, pcm: Int16Array) -> None:
        """Returns when it has sounded; at once when the leg has ended."""
        if self._source is None or self.over.is_set() or not len(pcm):
            # Whoever plays on and on is cancelled here.
            await asyncio.sleep(0)
            return
        try:
            for begin in range(0, len(pcm), FRAME):
                await self.play_frame(pcm[begin : begin + FRAME])
            await self._source.wait_for_playout()
        except asyncio.CancelledError:
            self._source.clear_queue()
            raise

    async def play_frame(self, pcm: Int16Array) -> None:
        if self._source is not None and not self.over.is_set():
            for tell in self.on_said:
                tell(pcm)
            await self._source.capture_frame(rtc.AudioFrame(pcm.tobytes(), RATE, 1, len(pcm)))

    async def press(self, digits: str) -> None:
        """The phone sends digits; `w` waits half a second."""
        for digit in digits:
            if digit == "w":
                await asyncio.sleep(_PAUSE_S)
            elif digit in DIGIT_CODES:
                self.write("digit", way="sent", digit=digit)
                await self.room.local_participant.publish_dtmf(code=DIGIT_CODES[digit], digit=digit)
                await asyncio.sleep(_DIGIT_S)

    def hear_digit(self, digit: str) -> None:
        self.write("digit", way="heard", digit=digit)
        self._digits.append(digit)
        self._digit_came.set()

    async def next_digit(self, *, within_s: float) -> str:
        """The next digit the agent's side sends; empty when none comes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self._digits:
                    self._digit_came.clear()
                    await self._digit_came.wait()
                return self._digits.popleft()
        return ""

    def _close(self, by: By, reason: str, *, status: int = 0, text: str = "") -> bool:
        if self.over.is_set():
            return False
        self.reason = text or reason
        for tell in self.on_ending:
            tell()
        self.write("end", by=by, reason=reason, status=status, text=text)
        self.over.set()
        return True

    async def _leave(self, leaves_as: int) -> None:
        with contextlib.suppress(Exception):  # a room that is gone needs no leaving
            async with asyncio.timeout(_LEAVE_S):
                if self.room.isconnected():
                    await self.tell_status("hangup")
                await self.room.disconnect(reason=rtc.DisconnectReason.ValueType(leaves_as))
        if self._source:
            await self._source.aclose()
            self._source = None

    async def _hear(self, track: rtc.Track, ear: Ear) -> None:
        async for pcm in _frames(track):
            if self.over.is_set():
                return
            ear(pcm)

    def _on_track(self, track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._tracks.append(track)
            self.heard_somebody.set()
            for make_ear in self._ears:
                self._spawn(self._hear(track, make_ear()))

    def _on_digit(self, packet: rtc.SipDTMF) -> None:
        self.hear_digit(packet.digit)

    def _on_disconnected(self, reason: int) -> None:
        by: By = "agent" if reason in _OURS else "room"
        if self._close(by, rtc.DisconnectReason.Name(rtc.DisconnectReason.ValueType(reason)).lower()):
            self._spawn(self._leave(rtc.DisconnectReason.CLIENT_INITIATED))


async def _frames(track: rtc.Track) -> AsyncIterator[Int16Array]:
    stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=round(1000 * FRAME_S))
    try:
        async for event in stream:
            yield np.frombuffer(event.frame.data, dtype=np.int16)
    finally:
        await stream.aclose()
