"""Calls in rooms: serves jobs of a LiveKit server until told to stop, then drains."""

import asyncio
import os
import signal
from collections.abc import Mapping
from functools import partial
from typing import Final

import structlog
from django.conf import settings
from livekit.agents import AgentServer, JobRequest
from livekit.agents.ipc.proc_pool import ProcPool

from calls.telephony.names import AGENT_NAME
from voice_worker import livekit_job
from voice_worker.duties import endlessly
from voice_worker.heartbeat import Heartbeat
from voice_worker.job_process import prepare_forkserver
from voice_worker.receiving import FULL
from voice_worker.spool import Spool

logger = structlog.get_logger(__name__)

CALLS_PER_CORE: Final = 5
RESERVE: Final = 2
"""Places beyond the slots for people who call in; on the last one they hear that all are busy."""
SWEEP_S: Final = 3.0
_NEEDED: Final[Mapping[str, str]] = {
    "LIVEKIT_URL": "wss://livekit.example.com",
    "LIVEKIT_API_KEY": "API…",
    "LIVEKIT_API_SECRET": "a long secret",
}
PRELOADED: Final = "voice_worker.preloaded"
_WARN_AT: Final = 0.75
"""Share of the memory limit from which on the log warns."""
# While calls run, the server is tried again for as long as it takes.
_RETRIES: Final = 10**6


class NotConfiguredError(Exception):
    """The text names the variable and shows an example."""


def serve(*, drain_s: float) -> None:
    """Blocks until SIGTERM and the end of the calls. Raises NotConfiguredError."""
    for name, example in _NEEDED.items():
        if not getattr(settings, name):
            raise NotConfiguredError(f"{name} is not set. Example: {name}={example}")
    prepare_forkserver()
    asyncio.run(_serve(drain_s))


async def _serve(drain_s: float) -> None:
    slots = CALLS_PER_CORE * (os.cpu_count() or 1)
    spool = Spool(settings.VP_SPOOL)
    servers: list[AgentServer] = []
    heart = Heartbeat(
        transport="livekit",
        slots=slots,
        spool=spool,
        jobs=lambda: {job_id: pid for server in servers for job_id, pid in _pids(server).items()},
    )
    host_id = await heart.register()
    server = _server(slots=slots, host_id=str(host_id))
    servers.append(server)
    server.on("worker_registered", lambda *_: logger.info("the host takes calls", slots=slots, host_id=str(host_id)))
    duties = [asyncio.create_task(endlessly(duty)) for duty in (heart.run, partial(_sweep, spool))]
    try:
        await _run_until_stopped(server, drain_s=drain_s, heart=heart)
    finally:
        for duty in duties:
            duty.cancel()
        await asyncio.to_thread(spool.sweep)
        await heart.retire()


def _pids(server: AgentServer) -> dict[str, int]:
    """The process of each running job. The framework tells jobs, but not their processes, and nothing before it runs."""
    pool: ProcPool | None = getattr(server, "_proc_pool", None)
    jobs = [(executor.running_job, executor) for executor in pool.processes] if pool else []
    return {running.job.id: getattr(executor, "pid", None) or 0 for running, executor in jobs if running}


def _server(*, slots: int, host_id: str) -> AgentServer:
    server = AgentServer(
        ws_url=settings.LIVEKIT_URL,
        api_key=settings.LIVEKIT_API_KEY,
        api_secret=settings.LIVEKIT_API_SECRET,
        num_idle_processes=2,
        setup_fnc=partial(livekit_job.prewarm, host_id=host_id),
        preload_modules=[PRELOADED],
        initialize_process_timeout=30,
        shutdown_process_timeout=60,
        session_end_timeout=60,
        job_memory_limit_mb=settings.VP_JOB_MEMORY_MB,
        job_memory_warn_mb=settings.VP_JOB_MEMORY_MB * _WARN_AT,
        host="127.0.0.1",
        port=0,
        max_retry=_RETRIES,
        # The default counts the machine's load, which neighbours cause as well.
        load_fnc=lambda self: min(len(self.active_jobs) / (slots + RESERVE), 1.0),
        load_threshold=0.99,
    )
    accept = partial(_accept, server, slots)
    server.rtc_session(livekit_job.hold, agent_name=AGENT_NAME, on_request=accept, on_session_end=livekit_job.finish)
    return server


async def _accept(server: AgentServer, slots: int, request: JobRequest) -> None:
    task, running = livekit_job.task_of(request.job.metadata), len(server.active_jobs)
    most = slots + RESERVE if task and task.is_inbound else slots
    if task is None or running >= most:
        # Another worker may know what to do with it.
        await request.reject(terminate=False)
        return
    last = task.is_inbound and running >= most - 1
    await request.accept(name=AGENT_NAME, identity=f"{FULL if last else 'agent-'}{request.job.id}")


async def _run_until_stopped(server: AgentServer, *, drain_s: float, heart: Heartbeat) -> None:
    loop, stop, hurry = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def asked() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    run, stopped = asyncio.create_task(server.run()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({run, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not run.done():
            logger.info("the host stops", running=len(_pids(server)))
            await _drain(server, drain_s=drain_s, heart=heart, hurry=hurry)
    finally:
        stopped.cancel()
        await server.aclose()
    await run


async def _drain(server: AgentServer, *, drain_s: float, heart: Heartbeat, hurry: asyncio.Event) -> None:
    """Takes no new calls, and waits for the running ones until `drain_s` are over or somebody wants it to hurry."""
    told = asyncio.create_task(heart.drain())
    # The framework's own timeout takes 0 for ever.
    ended, hurried = asyncio.create_task(server.drain(timeout=None)), asyncio.create_task(hurry.wait())
    await asyncio.wait({ended, hurried}, timeout=drain_s, return_when=asyncio.FIRST_COMPLETED)
    for task in (ended, hurried):
        task.cancel()
    await asyncio.wait({ended, hurried, told})


async def _sweep(spool: Spool) -> None:
    while True:
        await asyncio.to_thread(spool.sweep)
        await asyncio.sleep(SWEEP_S)
