"""The far side of a web call: a browser, whose connection may break and come back, or go on in another tab."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from livekit import rtc
from livekit.agents import JobContext

from calls.telephony.names import BROWSER
from voice_worker.audio import CallClock
from voice_worker.entrypoint import Append, EndsFactory, Job
from voice_worker.outcome import LEFT_BEFORE, CallOverError
from voice_worker.room_ends import LOST, RoomEnds, note_caller, reason_of
from voice_worker.room_tracks import AgentTrack, RoomInput, microphone_of
from voice_worker.rooms import join
from voice_worker.snapshot import CallSnapshot

logger = structlog.get_logger(__name__)

RETURNS_S: Final = 10.0
"""How long a browser that was cut off is waited for."""


class BrowserInput(RoomInput):
    """Goes on with whoever is the caller now; nothing is heard while nobody is."""

    def __init__(self, stream: rtc.AudioStream, **parts: Any) -> None:
        super().__init__(stream, **parts)
        self._frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()
        self._hearing = asyncio.create_task(self._hear(self._stream))

    async def __anext__(self) -> rtc.AudioFrame:
        return await self._frames.get()

    def follow(self, participant: rtc.RemoteParticipant) -> None:
        self._hearing.cancel()
        self._hearing = asyncio.create_task(self._hear(microphone_of(participant)))

    async def aclose(self) -> None:
        self._hearing.cancel()
        await asyncio.wait([self._hearing])

    async def _hear(self, stream: rtc.AudioStream) -> None:
        try:
            async for event in stream:
                self._frames.put_nowait(self._heard(event.frame))
        finally:
            await stream.aclose()


class BrowserEnds(RoomEnds):
    """`CallEnds` for a browser. Who was cut off has ten seconds to come back; who comes in as the caller takes over."""

    _microphone: BrowserInput

    def __init__(self, *parts: Any, **named: Any) -> None:
        self._away: asyncio.Task[None] | None = None
        super().__init__(*parts, **named)
        self._room.on("participant_connected", self._on_joined)

    async def aclose(self) -> None:
        self._stop_waiting()
        await super().aclose()

    def _listen(self, clock: CallClock) -> BrowserInput:
        return BrowserInput(microphone_of(self._participant), clock=clock, taps=self._taps)

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity != BROWSER or participant.sid != self._participant.sid:
            return
        reason = reason_of(participant)
        if reason != LOST:
            self._leave(reason)
        elif self._away is None:
            self._away = asyncio.create_task(self._wait())

    def _on_joined(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity != BROWSER or self.left.is_set():
            return
        self._stop_waiting()
        self._participant = participant
        self._microphone.follow(participant)
        self._append({"op": "event", "kind": "caller_rejoined", "at": datetime.now(UTC).isoformat()})

    def _stop_waiting(self) -> None:
        if self._away:
            self._away.cancel()
        self._away = None

    async def _wait(self) -> None:
        await asyncio.sleep(RETURNS_S)
        self._leave(LOST)


def browser_ends(ctx: JobContext, job: Job) -> EndsFactory:
    """Joins the job's room. The factory raises CallOverError when the browser has gone, and ProviderConfigError."""

    async def connect(_snapshot: CallSnapshot, clock: CallClock, append: Append) -> BrowserEnds:
        await join(ctx)
        track = AgentTrack(ctx.room)
        try:
            await track.publish()
            participant = await _caller(ctx)
        except BaseException:
            await track.aclose()
            raise
        note_caller(participant, append)
        return BrowserEnds(ctx, participant, track=track, clock=clock, append=append, job=job)

    return connect


async def _caller(ctx: JobContext) -> rtc.RemoteParticipant:
    try:
        async with asyncio.timeout(RETURNS_S):
            return await ctx.wait_for_participant(identity=BROWSER)
    except (TimeoutError, RuntimeError) as error:
        raise CallOverError(LEFT_BEFORE) from error
