"""A call without a phone for tests: a line somebody can speak into, predictable providers, and the worker's own run_call."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import numpy as np
from livekit.agents.voice.io import PlaybackFinishedEvent

from agents import testing as agents_testing
from agents.models import Agent
from benchmarks.sounds import voice_like
from calls.models import Call, WorkerHost
from calls.services import place_call
from calls.services.hosts import register_host
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker.audio import RATE, CallClock, Int16Array, PacedInput, PlayedOutput, Tap, Taps
from voice_worker.entrypoint import Job, run_call
from voice_worker.keys import Keys
from voice_worker.line import Colleagues, Refer, Supervisors
from voice_worker.outcome import Outcome
from voice_worker.pipeline import Stages, StagesBuilder
from voice_worker.providers.constant import ConstantSTT, Rule, RuleLLM, ToneTTS
from voice_worker.snapshot import CallSnapshot

OPENS = Rule(hears="open", say="We open at nine.")
BYE = Rule(hears=r"\bbye\b", say="Goodbye!", tool="end_call")


class Line:
    """`CallEnds` with a test at the far end."""

    def __init__(self, clock: CallClock) -> None:
        self.clock = clock
        self._taps = Taps()
        self.input = PacedInput(clock, heard=self._taps.caller_frame)
        self.player = PlayedOutput(clock, heard=self._taps.agent_frame)
        self.audio_input, self.audio_output = self.input, self.player
        self.left, self.left_reason = asyncio.Event(), ""
        self.keys: Keys | None = None
        self.refer: Refer | None = None
        self.supervisors: Supervisors | None = None
        self.colleagues: Colleagues | None = None
        self.hung_up = False
        self.replies: list[float] = []
        self.audible_s = 0.0
        self._taps.add(self)
        self._replied = asyncio.Event()
        self.player.on("playback_finished", self._note_reply)

    def add_tap(self, tap: Tap) -> None:
        self._taps.add(tap)

    def caller_frame(self, pcm: Int16Array, at: float) -> None:
        """The caller is the test."""

    def agent_frame(self, pcm: Int16Array, at: float) -> None:
        self.audible_s += len(pcm) / RATE if int(np.abs(pcm).max()) > 200 else 0.0

    async def start(self) -> None:
        self.input.start()

    async def hang_up(self) -> None:
        self.hung_up = True

    async def aclose(self) -> None:
        self.input.close()
        self.player.close()

    async def say(self, seconds: float = 1.0) -> float:
        """Returns the call second at which the words ended."""
        utterance = self.input.say(voice_like(seconds))
        await utterance.spoken()
        return utterance.ended_at or 0.0

    async def reply(self, *, timeout_s: float = 15.0) -> None:
        """Waits for the end of one more reply than were heard."""
        self._replied.clear()
        await asyncio.wait_for(self._replied.wait(), timeout_s)

    async def replied(self, times: int, *, timeout_s: float = 15.0) -> None:
        """Waits until so many replies have ended since the call began."""
        async with asyncio.timeout(timeout_s):
            while len(self.replies) < times:
                await self.reply(timeout_s=timeout_s)

    async def ask(self, seconds: float = 1.0) -> None:
        await self.say(seconds)
        await self.reply()

    def _note_reply(self, event: PlaybackFinishedEvent) -> None:
        self.replies.append(self.clock.now())
        self._replied.set()

    def leave(self) -> None:
        self.left.set()


def make_greeter(*, tools: Mapping[str, Any] | None = None, **settings: Any) -> Agent:
    """An agent of the tenant in scope, on the test providers."""
    given = {"end_call": {}, "take_message": {}} if tools is None else tools
    return agents_testing.make_agent(settings={"opening": {"greeting": "Hello there."}, **settings}, tools=given)


def make_job(tenant: Tenant, *, agent: Agent | None = None, **greeter: Any) -> Job:
    """A queued call of an agent, and the host it was placed for."""
    with tenant_scope(tenant):
        agent = agent or make_greeter(**greeter)
        host: WorkerHost = register_host(name="test", transport="local", slots=1)
        call = place_call(agent=agent, kind=Call.Kind.SIMULATED, host=host)
    return Job(call_id=call.pk, job_id=f"job-{call.pk}", host_id=host.pk)


def stages(
    *, hears: Sequence[str] = ("What time do you open?",), rules: Sequence[Rule] = (BYE, OPENS), **parts: Any
) -> StagesBuilder:
    async def build(_: object) -> Stages:
        return Stages(**{"stt": ConstantSTT(hears), "llm": RuleLLM(rules), "tts": ToneTTS(), **parts})

    return build


@asynccontextmanager
async def talk(
    job: Job, *, build: StagesBuilder | None = None, **options: Any
) -> AsyncIterator[tuple[Line, "asyncio.Task[Outcome | None]"]]:
    """The call once it is answered; whoever leaves the block hangs up, and the call is over when it is left."""
    connected: asyncio.Future[Line] = asyncio.get_running_loop().create_future()

    async def connect(_: CallSnapshot, clock: CallClock, __: Any) -> Line:
        connected.set_result(Line(clock))
        return connected.result()

    running = asyncio.create_task(run_call(job, ends=connect, stages=build or stages(), **options))
    await asyncio.wait([running, connected], return_when=asyncio.FIRST_COMPLETED, timeout=20)
    line = connected.result()
    try:
        yield line, running
    finally:
        line.leave()
        await asyncio.wait_for(running, 40)


def stored(call_id: UUID, tenant: Tenant, read: Callable[[Call], Any]) -> Any:
    with tenant_scope(tenant):
        return read(Call.objects.get(pk=call_id))
