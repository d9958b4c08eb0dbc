"""Calls for measuring: a tenant of their own, the worker's own way through a call, and a bare session to compare with."""

import asyncio
import gc
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from django.core.management import call_command
from livekit.agents import Agent as BareAgent
from livekit.agents import AgentSession, inference

from agents.models import Agent
from agents.services import create_agent, publish, save_draft
from agents.testing import TEST_SETTINGS
from benchmarks.ends import ScriptedEnds
from calls.models import Call
from calls.services import place_call
from calls.services.hosts import register_host
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.services.tenants import create_tenant
from voice_worker.audio import CallClock
from voice_worker.entrypoint import Append, Job, Observer, run_call
from voice_worker.line import CallEnds
from voice_worker.outcome import Outcome
from voice_worker.pipeline import Stages, StagesBuilder
from voice_worker.providers.constant import ConstantSTT, Rule, RuleLLM, ToneTTS
from voice_worker.recording import Recorder
from voice_worker.snapshot import CallSnapshot

T = TypeVar("T")
Script = Callable[[ScriptedEnds], Awaitable[T]]

GREETING = "Hello there."
INSTRUCTIONS = "You are a friendly phone receptionist."
CALLER_SAYS = "What time do you open?"
REPLY = Rule(hears="", say="We open at nine.")
_CONNECTS_S = 60.0
_number = count(1)


def prepare_database() -> None:
    """The schema, and quiet logs: what a benchmark run by itself needs first."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    call_command("migrate", verbosity=0)
    # As the forkserver of the jobs does.
    gc.collect()
    gc.freeze()


def make_job(
    *, settings: Mapping[str, Any] | None = None, tools: Sequence[str] = ("take_message", "end_call"), claim: bool = False
) -> Job:
    """A queued call of a new tenant, whose agent runs on the predictable providers unless `settings` says otherwise."""
    slug = f"benchmark-{uuid4().hex[:12]}"
    tenant: Tenant = create_tenant(name=slug, slug=slug)
    with tenant_scope(tenant):
        opening = {"opening": {"greeting": GREETING}}
        agent = _make_agent({**TEST_SETTINGS, **opening, "instructions": INSTRUCTIONS, **(settings or {})}, tools=tools)
        host = register_host(name=slug, transport="local", slots=1)
        call = place_call(agent=agent, kind=Call.Kind.SIMULATED, host=host)
    return Job(call_id=call.pk, job_id=f"job-{next(_number)}", host_id=host.pk)


def _make_agent(settings: Mapping[str, Any], *, tools: Sequence[str]) -> Agent:
    agent = create_agent(name=f"Benchmark {next(_number)}")
    save_draft(agent=agent, settings=dict(settings), tools={key: {} for key in tools})
    publish(agent=agent)
    agent.refresh_from_db()
    return agent


def predictable(*, texts: Sequence[str] = (CALLER_SAYS,), rules: Sequence[Rule] = (REPLY,)) -> StagesBuilder:
    """Stages that hear `texts`, answer by `rules` and speak in tones."""

    async def build(_: object) -> Stages:
        return Stages(stt=ConstantSTT(texts), llm=RuleLLM(rules), tts=ToneTTS())

    return build


async def hold_call(
    job: Job, *, stages: StagesBuilder, script: Script[T], observe: Observer | None = None
) -> tuple[T, Outcome | None]:
    """Hold a call as a host would, with `script` as the caller; `observe` sees what is written down."""
    connected: asyncio.Future[ScriptedEnds] = asyncio.get_running_loop().create_future()

    async def prepare(_: CallSnapshot, clock: CallClock, __: Append) -> CallEnds:
        connected.set_result(ScriptedEnds(clock))
        return connected.result()

    running = asyncio.create_task(run_call(job, ends=prepare, stages=stages, observe=observe))
    await asyncio.wait([running, connected], return_when=asyncio.FIRST_COMPLETED, timeout=_CONNECTS_S)
    if not connected.done():
        raise RuntimeError(f"the call did not connect: {await running}")
    ends = connected.result()
    try:
        async with asyncio.timeout(_CONNECTS_S):
            await ends.started.wait()
        found = await script(ends)
    finally:
        ends.leave()
        outcome = await running
    return found, outcome


async def hold_bare(*, stages: StagesBuilder, script: Script[T]) -> T:
    """The same conversation on the framework alone: same line, detector, recorder and delays, nothing of ours around it."""
    built = await stages(None)  # type: ignore[arg-type]
    clock = CallClock()
    ends = ScriptedEnds(clock)
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder) / "recording.ogg", clock)
        ends.add_tap(recorder)
        session = bare_session(built)
        session.input.audio, session.output.audio = ends.audio_input, ends.audio_output
        try:
            await session.start(BareAgent(instructions=INSTRUCTIONS), record=False)
            await ends.start()
            session.say(GREETING)
            return await script(ends)
        finally:
            await session.aclose()
            await ends.aclose()
            await recorder.aclose()
            await built.aclose()


def bare_session(built: Stages) -> AgentSession:
    return AgentSession(
        stt=built.stt,
        llm=built.llm,
        tts=built.tts,
        vad=inference.VAD(min_silence_duration=0.3),
        turn_handling={
            "turn_detection": "vad",
            "endpointing": {"mode": "fixed", "min_delay": 0.4, "max_delay": 3.0},
            "interruption": {"mode": "vad", "min_duration": 0.5},
            "preemptive_generation": {"enabled": False},
        },
        aec_warmup_duration=None,
        user_away_timeout=None,
    )
