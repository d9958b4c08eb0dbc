"""A call that LiveKit records: begun, paused and finished with the conversation, which waits for none of it."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings

from calls.models import Call
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.services.features import set_feature
from tests.fakes.egress_server import KEY, SECRET, EgressServer, serve_egress
from tests.fakes.gcs_server import GcsServer
from voice_worker.entrypoint import Job
from voice_worker.tests.calling import make_job, stages, stored, talk
from voice_worker.tests.test_keeping import PAUSES, PAYS


@pytest.fixture
def livekit(settings: Any, both_places: GcsServer, spool: Path) -> Iterator[EgressServer]:
    with serve_egress() as server:
        settings.LIVEKIT_URL, settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET = server.url, KEY, SECRET
        yield server


def make_room_job(tenant: Tenant, *, wanted: bool = True, **greeter: Any) -> Job:
    """A call in a room, of a tenant that has LiveKit record."""
    with tenant_scope(tenant):
        set_feature(key="livekit-egress", enabled=wanted, config={}, actor=None, reason="test")
    job = make_job(tenant, **greeter)
    Call.all_objects.filter(pk=job.call_id).update(room="out_room")
    return job


async def made(job: Job, tenant: Tenant) -> list[tuple[str, str]]:
    return await sync_to_async(stored)(job.call_id, tenant, lambda call: list(call.recordings.values_list("maker", "state")))


def spooled() -> list[Path]:
    return list(Path(django_settings.VP_SPOOL).rglob("*.ogg"))


async def test_the_server_records_from_the_answer_to_the_end(caller_tenant: Tenant, livekit: EgressServer) -> None:
    job = await sync_to_async(make_room_job)(caller_tenant)
    async with talk(job) as (line, _):
        await line.reply()
        assert ([request.room_name for request in livekit.started], livekit.stopped) == (["out_room"], [])
        await line.ask()
    assert (livekit.stopped, spooled()) == (["EG_1"], [])
    assert await made(job, caller_tenant) == [("egress", "making")]


async def test_without_the_feature_the_worker_records(caller_tenant: Tenant, livekit: EgressServer) -> None:
    job = await sync_to_async(make_room_job)(caller_tenant, wanted=False)
    async with talk(job) as (line, _):
        await line.reply()
    assert (livekit.started, len(spooled())) == ([], 1)
    assert await made(job, caller_tenant) == [("job", "spooled")]


async def test_a_yes_is_waited_for(caller_tenant: Tenant, livekit: EgressServer) -> None:
    job = await sync_to_async(make_room_job)(caller_tenant, recording={"mode": "after_consent", "consent_question": "Recorded?"})
    async with talk(job, build=stages(hears=["Yes."])) as (line, _):
        await line.replied(2)
        assert livekit.started == []
        await asyncio.sleep(0.3)
        await line.ask()
        assert len(livekit.started) == 1


async def test_a_pause_ends_the_recording_for_good(caller_tenant: Tenant, livekit: EgressServer) -> None:
    job = await sync_to_async(make_room_job)(caller_tenant, tools=PAUSES)
    async with talk(job, build=stages(hears=["I want to pay by card.", "I am done."], rules=PAYS)) as (line, _):
        await line.reply()
        await line.say()
        await asyncio.sleep(1.5)
        assert livekit.stopped == ["EG_1"]
        await line.say()
        await line.replied(2)
    assert (len(livekit.started), livekit.stopped) == (1, ["EG_1"])


async def test_a_slow_server_does_not_hold_up_the_conversation(caller_tenant: Tenant, livekit: EgressServer) -> None:
    livekit.stalls_s = 3.0
    job = await sync_to_async(make_room_job)(caller_tenant)
    began = time.monotonic()
    async with talk(job) as (line, _):
        await line.reply()
        assert time.monotonic() - began < 3.0
        livekit.stalls_s = 0.0
        await line.ask()
    assert await made(job, caller_tenant) == [("egress", "making")]
