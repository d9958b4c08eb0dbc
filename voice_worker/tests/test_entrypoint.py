"""Claims, shutdowns, and what the event loop is spared."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from asgiref.sync import sync_to_async
from django.db.backends.utils import CursorWrapper

from calls.models import Call
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests.fakes.llama_server import Answer, serve_llama
from voice_worker.entrypoint import Job, run_call
from voice_worker.outcome import WORKER_SHUTDOWN
from voice_worker.tests.calling import make_job, stages, stored, talk
from voice_worker.tests.test_local_llm import make_model


async def nobody(*_: object) -> None:
    raise AssertionError("the far end was called")


async def test_one_of_two_jobs_gets_the_call_and_the_other_leaves_no_trace(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    other = replace(job, job_id="other")
    async with talk(job) as (line, _):
        await line.reply()
        events = await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: call.events.count())
        assert await run_call(other, ends=nobody) is None
        assert await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: call.events.count()) == events
    assert await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: call.job_id) == job.job_id


async def test_jobs_that_claim_at_the_same_moment_hold_one_call(caller_tenant: Tenant) -> None:
    from functools import partial

    from calls.services import claim_call

    job = await sync_to_async(make_job)(caller_tenant)
    claims = [
        asyncio.to_thread(_closing(partial(claim_call, call_id=job.call_id, job_id=f"job-{n}", host_id=job.host_id)))
        for n in range(6)
    ]
    assert sum(await asyncio.gather(*claims)) == 1


def _closing(step):
    from django.db import connections

    def run():
        try:
            return step()
        finally:
            connections.close_all()

    return run


async def test_a_call_that_does_not_exist_is_no_call(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    assert await run_call(replace(job, call_id=caller_tenant.pk), ends=nobody) is None


async def test_a_shutdown_ends_the_call_at_once_and_says_so(caller_tenant: Tenant) -> None:
    job, stop = await sync_to_async(make_job)(caller_tenant), asyncio.Event()
    async with talk(job, stop=stop) as (line, running):
        await line.reply()
        stop.set()
        assert await asyncio.wait_for(running, 10) == WORKER_SHUTDOWN
    found = await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: (call.ended_reason, bool(call.finalized_at)))
    assert found == ("worker_shutdown", True)


async def test_a_shutdown_before_the_answer_ends_the_call_too(caller_tenant: Tenant) -> None:
    job, stop = await sync_to_async(make_job)(caller_tenant), asyncio.Event()

    async def slow(*_: object) -> None:
        stop.set()
        await asyncio.sleep(60)

    assert await asyncio.wait_for(run_call(job, ends=slow, stop=stop, stages=stages()), 10) == WORKER_SHUTDOWN


@pytest.mark.parametrize("kind", ["inbound", "web"])
async def test_who_has_taken_the_phone_does_not_wait_for_a_model_to_read(caller_tenant: Tenant, kind: str) -> None:
    def of_a_person() -> Job:
        job = make_job(caller_tenant)
        with tenant_scope(caller_tenant):
            Call.objects.filter(pk=job.call_id).update(kind=kind, transport="livekit", room=f"{kind}-1")
        return job

    job = await sync_to_async(of_a_person)()
    async with serve_llama() as reading:
        reading.answers = [Answer(text="…", waits_after=0)]
        async with talk(job, build=stages(llm=make_model(reading.url))) as (line, _):
            await line.reply(timeout_s=8)
        assert reading.requests[0]["n_predict"] == 0
        reading.go_on.set()


@contextmanager
def sql_on_the_loop_fails(loop_thread: int) -> Iterator[list[str]]:
    import threading

    seen: list[str] = []
    execute = CursorWrapper._execute_with_wrappers

    def watched(self, sql, *rest, **named):
        if threading.get_ident() == loop_thread:
            seen.append(str(sql))
            raise AssertionError(f"SQL on the event loop: {sql}")
        return execute(self, sql, *rest, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CursorWrapper, "_execute_with_wrappers", watched)
        yield seen


async def test_the_event_loop_runs_no_sql(caller_tenant: Tenant) -> None:
    import threading

    job = await sync_to_async(make_job)(caller_tenant)
    with sql_on_the_loop_fails(threading.get_ident()) as seen:
        async with talk(job, build=stages(hears=["open?", "bye"])) as (line, running):
            await line.reply()
            await line.ask()
            await line.say()
            await running
    assert seen == []
    assert await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: call.turns.count()) == 5
