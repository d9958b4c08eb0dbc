"""The far side of a call when the caller is simulated, in this process and in real time."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from livekit.agents.voice import io

from agents.personas import Persona
from voice_worker.audio import CallClock, Int16Array, PacedInput, PlayedOutput, Tap, Taps
from voice_worker.keys import Keys
from voice_worker.line import Colleagues, Refer, Supervisors
from voice_worker.simulation.log import Entry, PersonaLog
from voice_worker.simulation.persona import Caller
from voice_worker.simulation.speech import Hearing, Speaking

LEFT_BY_US = "agent_hung_up"


class PersonaEnds:
    """`CallEnds` with a persona behind them. `prepare` speaks its lines beforehand; `start` does so if nobody did."""

    left: asyncio.Event
    left_reason: str
    keys: Keys | None = None
    refer: Refer | None = None
    supervisors: Supervisors | None = None
    colleagues: Colleagues | None = None

    def __init__(
        self,
        *,
        persona: Persona,
        clock: CallClock,
        hearing: Hearing,
        speaking: Speaking,
        log_path: Path | None,
        on_entry: Callable[[Entry], None] | None = None,
    ) -> None:
        self._clock = clock
        self._taps = Taps()
        self._line = PacedInput(clock, heard=self._taps.caller_frame)
        self._player = PlayedOutput(clock, heard=self._taps.agent_frame)
        self.audio_input: io.AudioInput = self._line
        self.audio_output: io.AudioOutput = self._player
        self.left, self.left_reason = asyncio.Event(), ""
        self._log = PersonaLog(log_path, on_entry=on_entry)
        self._log.write(
            "header",
            persona=persona.key,
            goals={goal.key: goal.title for goal in persona.goals},
            name=persona.name,
            phone=persona.phone,
            voice=persona.voice,
        )
        self._caller = Caller(
            persona=persona, line=self._line, hearing=hearing, speaking=speaking, log=self._log, leave=self._leave
        )
        self._taps.add(self._caller)
        self._prepared = False
        self._talking: asyncio.Task[None] | None = None
        self._closed = False

    def add_tap(self, tap: Tap) -> None:
        self._taps.add(tap)

    def hear(self, pcm: Int16Array, at: float) -> None:
        """A frame of the agent that was played elsewhere, not through `audio_output`."""
        self._taps.agent_frame(pcm, at)

    async def prepare(self, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        await self._caller.prepare(progress)
        self._prepared = True

    async def start(self) -> None:
        if not self._prepared:
            await self.prepare()
        self._line.start()
        self._talking = asyncio.create_task(self._caller.run(), name="persona")

    async def hang_up(self) -> None:
        if not self.left.is_set() and not self.left_reason:
            self.left_reason = LEFT_BY_US
            self._log.write("event", at=round(self._clock.now(), 3), kind=LEFT_BY_US)
        await self._stop_talking()

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._stop_talking()
        self._line.close()
        self._player.close()
        await self._caller.finish(self.left_reason)
        await asyncio.to_thread(self._log.close)

    def _leave(self, reason: str) -> None:
        self.left_reason = reason
        self.left.set()

    async def _stop_talking(self) -> None:
        self._line.hush()
        if self._talking:
            self._talking.cancel()
            with suppress(asyncio.CancelledError):
                await self._talking
