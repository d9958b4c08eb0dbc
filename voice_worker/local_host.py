"""Calls that need no server: taken from the queue, each held in a process of its own."""

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID, uuid4

import redis.asyncio
import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from calls.errors import UnknownHostError
from calls.models import Call
from calls.services.commands import overdue
from calls.services.ending import end_call
from calls.services.local_queue import take_local_calls
from calls.wakeups import LOCAL_CALLS
from voice_worker.database import in_database
from voice_worker.duties import endlessly
from voice_worker.entrypoint import Job
from voice_worker.heartbeat import Heartbeat
from voice_worker.job_process import JobProcess, warm_up
from voice_worker.memory import pss_of
from voice_worker.spool import Spool

logger = structlog.get_logger(__name__)

LOOK_S: Final = 2.0
SWEEP_S: Final = 3.0
OVERDUE_S: Final = 2.0
MEMORY_S: Final = 5.0
STOP_S: Final = 12.0
_RECONNECT_S: Final = 5.0
_TIMEOUT_S: Final = 5.0


@dataclass(slots=True)
class _Running:
    job: Job
    kind: str
    process: JobProcess | None = None
    hang_up: bool = False


class LocalHost:
    """Runs until `stop`; then takes nothing new, lets its calls come to their end for `drain_s`, and goes."""

    def __init__(self, *, calls: int, chats: int, drain_s: float) -> None:
        """`calls` and `chats` are how many it holds of each at the same time."""
        self.spool = Spool(settings.VP_SPOOL)
        self.stop, self.hurry = asyncio.Event(), asyncio.Event()
        self._slots = {Call.Kind.SIMULATED: calls, Call.Kind.CHAT: chats}
        self._drain_s = drain_s
        self._running: dict[str, _Running] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._heart = Heartbeat(transport="local", slots=calls + chats, spool=self.spool, jobs=self._pids)

    async def run(self) -> None:
        await asyncio.to_thread(warm_up)
        await self._register()
        duties = [self._heart.run, self._listen, self._sweep, self._kill_overdue]
        duties += [self._limit_memory] if settings.VP_JOB_MEMORY_MB else []
        tasks = [asyncio.create_task(endlessly(duty)) for duty in duties]
        logger.info("the host takes calls", slots=sum(self._slots.values()), host_id=str(self._heart.host_id))
        try:
            await self._take_until_stopped()
            tasks.append(asyncio.create_task(self._heart.drain()))
            await self._drain()
        finally:
            for task in tasks:
                task.cancel()
            await self._heart.retire()

    def signal(self) -> None:
        """The first asks to stop, the second to hurry."""
        (self.hurry if self.stop.is_set() else self.stop).set()

    async def _register(self) -> None:
        while True:
            try:
                await self._heart.register()
            except DatabaseError as error:
                logger.warning("the database does not answer yet", error=str(error))
                await asyncio.sleep(_RECONNECT_S)
            else:
                return

    async def _take_until_stopped(self) -> None:
        while not self.stop.is_set():
            self._woken.clear()
            for kind, slots in self._slots.items():
                free = slots - sum(running.kind == kind for running in self._running.values())
                for call_id in await self._take(kind, free):
                    self._start(call_id, kind)
            await _any(self._woken, self.stop, timeout_s=LOOK_S)

    async def _take(self, kind: str, limit: int) -> list[UUID]:
        if limit <= 0 or self._heart.host_id is None:
            return []
        try:
            take = partial(take_local_calls, host_id=self._heart.host_id, limit=limit, kind=kind)
            return await in_database(take, timeout_s=_TIMEOUT_S)
        except UnknownHostError:
            await self._heart.beat()
        except (DatabaseError, TimeoutError) as error:
            logger.warning("no calls could be taken", error=f"{type(error).__name__}: {error}")
        return []

    def _start(self, call_id: UUID, kind: str) -> None:
        if self._heart.host_id is None:
            return
        job = Job(call_id=call_id, job_id=f"local-{uuid4().hex[:16]}", host_id=self._heart.host_id)
        self._running[job.job_id] = running = _Running(job, kind)
        watch = asyncio.create_task(self._watch(running))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def _watch(self, running: _Running) -> None:
        """A job from its birth to the moment all its records are handed in, or nearly."""
        job = running.job
        try:
            running.process = await asyncio.to_thread(JobProcess, job)
            code = await running.process.wait()
            if code:
                logger.error("a job ended badly", call_id=str(job.call_id), code=code)
            if running.hang_up:
                await self._note_hang_up(job)
            await asyncio.to_thread(self.spool.hand_in, job.call_id)
        except Exception:
            logger.exception("a job could not be watched", call_id=str(job.call_id))
        finally:
            self._running.pop(job.job_id, None)
            self._woken.set()
            if running.process:
                running.process.close()

    async def _note_hang_up(self, job: Job) -> None:
        detail = "The job did not take the hang-up; its process was ended."
        ended = partial(end_call, disposition=Call.Disposition.CANCELED, ended_reason="canceled_by_user", detail=detail)
        with contextlib.suppress(DatabaseError, TimeoutError):
            await in_database(partial(ended, call_id=job.call_id, job_id=job.job_id), timeout_s=_TIMEOUT_S)

    async def _kill_overdue(self) -> None:
        while True:
            await asyncio.sleep(OVERDUE_S)
            if not self._running or self._heart.host_id is None:
                continue
            with contextlib.suppress(DatabaseError, TimeoutError):
                for late in await in_database(partial(overdue, self._heart.host_id), timeout_s=_TIMEOUT_S):
                    self._kill(late.job_id)

    def _kill(self, job_id: str) -> None:
        running = self._running.get(job_id)
        if running and running.process:
            logger.warning("a job did not take a hang-up in time", call_id=str(running.job.call_id))
            running.hang_up = True
            running.process.kill()

    def _pids(self) -> dict[str, int]:
        return {job_id: running.process.pid if running.process else 0 for job_id, running in list(self._running.items())}

    async def _limit_memory(self) -> None:
        """A job that grows without end would take the others with it. Its call is found lost by the sweeps."""
        while True:
            await asyncio.sleep(MEMORY_S)
            for job_id, used in (await asyncio.to_thread(pss_of, self._pids())).items():
                running = self._running.get(job_id)
                if running and running.process and used > settings.VP_JOB_MEMORY_MB:
                    logger.error("a job used too much memory", call_id=str(running.job.call_id), used_mb=round(used))
                    running.process.kill()

    async def _sweep(self) -> None:
        while True:
            await asyncio.to_thread(self.spool.sweep)
            await asyncio.sleep(SWEEP_S)

    async def _listen(self) -> None:
        """Redis saves up to one look of waiting."""
        while True:
            try:
                async with redis.asyncio.from_url(settings.REDIS_URL) as client, client.pubsub() as channel:
                    await channel.subscribe(LOCAL_CALLS)
                    async for message in channel.listen():
                        if message["type"] == "message":
                            self._woken.set()
            except (RedisError, OSError):
                await asyncio.sleep(_RECONNECT_S)

    async def _drain(self) -> None:
        """Calls may come to their own end for a while, then they are asked to, then ended."""
        logger.info("the host stops", running=len(self._running))
        if await self._empty_within(self._drain_s, hurry=self.hurry):
            return
        for running in self._running.values():
            if running.process:
                running.process.stop()
        if await self._empty_within(STOP_S):
            return
        for running in self._running.values():
            if running.process:
                running.process.kill()
        await self._empty_within(STOP_S)

    async def _empty_within(self, seconds: float, *, hurry: asyncio.Event | None = None) -> bool:
        if not self._watches:
            return True
        hurried = asyncio.create_task((hurry or asyncio.Event()).wait())
        ended = asyncio.create_task(_all_done(set(self._watches)))
        await asyncio.wait({hurried, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        ended.cancel()
        return not self._watches


async def _all_done(watches: "set[asyncio.Task[None]]") -> None:
    await asyncio.wait(watches)


async def _any(*events: asyncio.Event, timeout_s: float) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
