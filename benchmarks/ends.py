"""The far side of a call with a script instead of a person behind it."""

import asyncio
import time
from collections.abc import Callable

import numpy as np
from livekit.agents.voice import io

from voice_worker.audio import FRAME_S, CallClock, Int16Array, PacedInput, PlayedOutput, Tap, Taps, Utterance
from voice_worker.keys import Keys
from voice_worker.line import Colleagues, Refer, Supervisors

_AUDIBLE = 200


class ScriptedEnds:
    """`CallEnds` whose caller says what a benchmark tells it to. A tap of its own: it knows when the agent was audible."""

    left: asyncio.Event
    left_reason: str
    keys: Keys | None = None
    refer: Refer | None = None
    supervisors: Supervisors | None = None
    colleagues: Colleagues | None = None

    def __init__(self, clock: CallClock) -> None:
        self.clock = clock
        self._taps = Taps()
        self.line = PacedInput(clock, heard=self._taps.caller_frame)
        self.player = PlayedOutput(clock, heard=self._taps.agent_frame)
        self.audio_input: io.AudioInput = self.line
        self.audio_output: io.AudioOutput = self.player
        self.left, self.left_reason = asyncio.Event(), ""
        self.started = asyncio.Event()
        self.hung_up = asyncio.Event()
        self.audible: list[float] = []
        self.endings: list[tuple[float, bool]] = []
        self.first_frame_at: float | None = None
        self.player.on("playback_finished", self._reply_ended)
        self._taps.add(self)

    def add_tap(self, tap: Tap) -> None:
        self._taps.add(tap)

    def caller_frame(self, pcm: Int16Array, at: float) -> None:
        """Nothing to learn: the caller is this object."""

    def agent_frame(self, pcm: Int16Array, at: float) -> None:
        if int(np.abs(pcm).max()) >= _AUDIBLE:
            if self.first_frame_at is None:
                self.first_frame_at = time.perf_counter()
            self.audible.append(at)

    async def start(self) -> None:
        self.line.start()
        self.started.set()

    async def hang_up(self) -> None:
        self.hung_up.set()
        self.line.hush()

    async def aclose(self) -> None:
        self.line.close()
        self.player.close()

    def leave(self) -> None:
        self.left_reason = "caller_hung_up"
        self.left.set()

    def speaks_since(self, second: float) -> bool:
        """Whether the agent has been audible after this second of the call."""
        return bool(self.audible) and self.audible[-1] > second

    def heard_between(self, start: float, end: float) -> list[float]:
        return [at for at in self.audible if start <= at < end]

    async def say(self, pcm: Int16Array) -> Utterance:
        """Returns once the last audible sample has left."""
        utterance = self.line.say(pcm)
        await utterance.spoken()
        return utterance

    async def until(self, holds: Callable[[], bool], *, timeout_s: float) -> bool:
        """Waits until something holds; False when it does not in time."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline or self.left.is_set():
                return False
            await asyncio.sleep(FRAME_S)
        return True

    async def reply_over(self, *, since: float, timeout_s: float = 30.0) -> bool:
        """Waits for the end of a reply that ended after this second."""
        return await self.until(lambda: any(at > since for at, _ in self.endings), timeout_s=timeout_s)

    def _reply_ended(self, event: io.PlaybackFinishedEvent) -> None:
        self.endings.append((self.clock.now(), event.interrupted))
