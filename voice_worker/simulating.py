"""A simulated call from a terminal: a host for this one call, the same processes as any other."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

from django.conf import settings

from agents.models import Agent
from calls.models import Call, WorkerHost
from calls.resolving import scope_of_call
from calls.services import place_call
from calls.services.ending import end_call
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker.database import in_database
from voice_worker.entrypoint import Job
from voice_worker.heartbeat import Heartbeat
from voice_worker.job_process import JobProcess, News, warm_up
from voice_worker.spool import Spool
from voiceplatform.lib.ids import InvalidIdError, from_public_id

AROUND_THE_CALL_S: Final = 180.0
HAND_IN_S: Final = 20.0
_AGAIN_S: Final = 1.0


class NoSuchAgentError(Exception):
    """The text says what to name instead."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which call to simulate. `agent` is a name or an id, `tenant` a slug or an id, empty where the agent says enough."""

    agent: str
    tenant: str = ""
    persona: str = ""
    draft: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)


def find_agent(wanted: Wanted) -> Agent:
    """Raises NoSuchAgentError."""
    found: list[Agent] = []
    for tenant in _tenants(wanted.tenant):
        with tenant_scope(tenant):
            agents = Agent.objects.in_use()
            match = _public_id("agt", wanted.agent)
            found += agents.filter(pk=match) if match else agents.filter(name__iexact=wanted.agent)
    if len(found) > 1:
        raise NoSuchAgentError(f"Several tenants have an agent {wanted.agent!r}. Say whose: --tenant SLUG")
    if not found:
        raise NoSuchAgentError(f"There is no agent {wanted.agent!r}. Name it as in the console, e.g. --agent Ava")
    return found[0]


def _tenants(given: str) -> list[Tenant]:
    if not given:
        return list(Tenant.objects.all())
    by_id = _public_id("ten", given)
    tenants = list(Tenant.objects.filter(pk=by_id) if by_id else Tenant.objects.filter(slug=given))
    if not tenants:
        raise NoSuchAgentError(f"There is no tenant {given!r}. Name it by its slug, e.g. --tenant bright-smile")
    return tenants


def _public_id(prefix: str, given: str) -> UUID | None:
    try:
        return from_public_id(prefix, given) if given.startswith(f"{prefix}_") else UUID(given)
    except (InvalidIdError, ValueError):
        return None


async def simulate(agent: Agent, wanted: Wanted, *, tell: Callable[[News], None], stop: asyncio.Event) -> UUID:
    """Place the call, hold it in a process of its own and hand its records in; returns the call's id.

    `tell` gets what happens while it happens. Raises what `place_call` raises, before anything was started.
    """
    spool = Spool(settings.VP_SPOOL)
    jobs: dict[str, int] = {}
    heart = Heartbeat(transport="local", slots=1, spool=spool, jobs=lambda: jobs)
    host_id = await heart.register()
    beating = asyncio.create_task(heart.run())
    try:
        call_id = await in_database(partial(_place, agent, wanted, host_id=host_id))
        job = Job(call_id=call_id, job_id=f"simulate-{uuid4().hex[:16]}", host_id=host_id)
        jobs[job.job_id] = 0
        await asyncio.to_thread(warm_up)
        await _hold(job, tell=tell, stop=stop)
        await _hand_in(spool, job)
        return call_id
    finally:
        beating.cancel()
        await heart.retire()


def _place(agent: Agent, wanted: Wanted, *, host_id: UUID) -> UUID:
    with tenant_scope(agent.tenant_id):
        version = agent.versions.drafts().first() if wanted.draft else None
        if wanted.draft and version is None:
            raise NoSuchAgentError(f"{agent.name} has no draft. Leave --draft out to call its published version.")
        placed: dict[str, Any] = {"version": version, "persona": wanted.persona, "variables": wanted.variables}
        host = WorkerHost.objects.get(pk=host_id)
        return place_call(agent=agent, kind=Call.Kind.SIMULATED, host=host, **placed).pk


async def _hold(job: Job, *, tell: Callable[[News], None], stop: asyncio.Event) -> None:
    longest = await in_database(partial(_longest, job.call_id))
    process = await asyncio.to_thread(JobProcess, job, tells=True)
    asked = asyncio.create_task(_stop_on(stop, process))
    try:
        async with asyncio.timeout(longest + AROUND_THE_CALL_S):
            async for news in process.follow():
                tell(news)
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    finally:
        asked.cancel()
        process.close()


def _longest(call_id: UUID) -> int:
    with scope_of_call(call_id):
        seconds: int = Call.objects.values_list("max_duration_s", flat=True).get(pk=call_id)
        return seconds


async def _stop_on(stop: asyncio.Event, process: JobProcess) -> None:
    await stop.wait()
    process.stop()


async def _hand_in(spool: Spool, job: Job) -> None:
    """What the job did not; a call it never claimed fails here."""
    await asyncio.to_thread(_hand_in_within, spool, job.call_id)
    detail = "The process that was to hold the call ended before it had begun."
    lost = partial(end_call, call_id=job.call_id, disposition="failed", ended_reason="worker_lost", detail=detail, job_id="")
    await in_database(lost)


def _hand_in_within(spool: Spool, call_id: UUID) -> None:
    until = time.monotonic() + HAND_IN_S
    while not spool.hand_in(call_id) and time.monotonic() < until:
        time.sleep(_AGAIN_S)
