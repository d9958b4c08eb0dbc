"""Whatever dies, the ledger says what the carrier says, and nobody is left in a silent room.

The oracle is the carrier's log: how often it was asked to ring, and when every leg ended.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import redis
from django.db import connection
from livekit import api

from agents.testing import make_agent
from calls.models import Call, CallEvent, LineSlot, PhoneNumber, SipTrunk, Turn
from calls.services.commands import request_hang_up
from calls.services.outbound import place_outbound
from calls.telephony import mirroring
from calls.telephony.dispatches import dispatch_job
from calls.testing import make_number, make_trunk
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests.livekit.platform import Caretaker, Worker, call_as, call_is, in_db
from tests.livekit.rig import Carrier
from voice_worker.tests.failing import Proxy

QUICK = {"after_s": 0.2}
OURS = "+12025558002"
TALKS, RINGS, SHY, HANGS_UP, UNTOLD, LATE = (f"+1202555010{n}" for n in (1, 2, 3, 4, 5, 6))
CALLER = "+12025550116"
BOOK = {
    "numbers": {
        TALKS: {"then": {"kind": "silence"}, **QUICK},
        RINGS: {"outcome": "rings_out"},
        SHY: {"after_s": 0.2},
        HANGS_UP: {"hangs_up_after_s": 0.3, **QUICK},
        UNTOLD: {"reply": "never", "hangs_up_after_s": 6, **QUICK},
        LATE: {"outcome": "at_cancel"},
        CALLER: {"then": {"kind": "tone", "token": 41}},
    }
}
GONE_WITHIN_S = 15.0


@pytest.fixture
def owner(transactional_db: None, make_tenant: Any, settings: Any, server: Any) -> Tenant:
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        setattr(settings, name, server.exports[name])
    return make_tenant(timezone="America/New_York")


@pytest.fixture
async def house(owner: Tenant, lk: api.LiveKitAPI) -> AsyncIterator["House"]:
    """A tenant with a number that the server knows; what the platform does beside its workers is done."""
    found = House(owner, lk)
    await in_db(found.build)
    async with Caretaker():
        yield found
    await in_db(found.pull_down)


@pytest.fixture
def worker(owner: Tenant, server: Any) -> Iterator[Worker]:
    with Worker(server) as running:
        yield running


class House:
    def __init__(self, owner: Tenant, lk: api.LiveKitAPI) -> None:
        self.owner, self.lk = owner, lk

    def build(self) -> None:
        with tenant_scope(self.owner):
            speaks = {
                "opening": {"greeting": "Hello there, this is the practice speaking."},
                "machines": {"silence_after_answer_s": 1},
            }
            agent = make_agent(settings=speaks)
            self.agent = agent
            make_number(phone=OURS, trunk=make_trunk(cps=20), agent=agent)
        mirroring.sync_all()

    def pull_down(self) -> None:
        with tenant_scope(self.owner):
            SipTrunk.objects.update(retired_at=datetime.now().astimezone())
            PhoneNumber.objects.update(released_at=datetime.now().astimezone())
        mirroring.sync_all()

    async def dial(self, to: str, *, ring_s: int = 20) -> Call:
        def place() -> Call:
            with tenant_scope(self.owner):
                call = place_outbound(to=to, agent=self.agent, kind="outbound", override_gates="a test at any hour")
                Call.objects.filter(pk=call.pk).update(ring_timeout_s=ring_s)
                return call

        return await in_db(place)

    async def ended(self, call: Call, *, seconds: float = 25) -> tuple[str, str]:
        found = await call_is(self.owner, call.pk, "ended", seconds=seconds)
        return found.disposition, found.ended_reason

    async def is_clean(self, carrier: Carrier, call: Call, *, seconds: float = GONE_WITHIN_S) -> None:
        """No line, no room, and every leg of the call ended."""

        def lines() -> int:
            with tenant_scope(self.owner):
                return LineSlot.objects.filter(call=call).count()

        async def left() -> tuple[int, int, bool]:
            listed = await self.lk.room.list_rooms(api.ListRoomsRequest(names=[call.room]))
            events = carrier.events(room=call.room)
            return await in_db(lines), len(listed.rooms), bool(events) and events[-1] != "end"

        deadline = time.monotonic() + seconds
        while (found := await left()) != (0, 0, False):
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.2)


def invites(carrier: Carrier, call: Call) -> int:
    return sum(line["event"] == "invite" for lines in carrier.legs().values() for line in lines if line.get("room") == call.room)


async def kinds(owner: Tenant, call: Call) -> list[str]:
    def read() -> list[str]:
        with tenant_scope(owner):
            return list(CallEvent.objects.filter(call=call).values_list("kind", flat=True))

    return await in_db(read)


async def said(owner: Tenant, call: Call) -> list[str]:
    def read() -> list[str]:
        with tenant_scope(owner):
            return list(Turn.objects.filter(call=call).values_list("text", flat=True))

    return await in_db(read)


async def test_a_worker_killed_while_it_rings(carrier: Carrier, house: House, worker: Worker):
    call = await house.dial(RINGS)
    await call_is(house.owner, call.pk, "ringing")
    worker.kill()
    assert await house.ended(call) == ("failed", "worker_lost")
    await house.is_clean(carrier, call)
    assert invites(carrier, call) == 1


async def test_a_worker_killed_while_it_talks(carrier: Carrier, house: House, worker: Worker):
    call = await house.dial(TALKS)
    await call_is(house.owner, call.pk, "in_progress")
    await until_true(lambda: said(house.owner, call))
    worker.kill()
    assert await house.ended(call) == ("failed", "worker_lost")
    await house.is_clean(carrier, call)
    assert invites(carrier, call) == 1
    assert await said(house.owner, call) != []


async def test_a_job_that_is_killed_takes_nobody_with_it(carrier: Carrier, house: House, worker: Worker):
    call = await house.dial(TALKS)
    await call_is(house.owner, call.pk, "in_progress")
    kill_job(worker)
    assert await house.ended(call) == ("failed", "worker_lost")
    await house.is_clean(carrier, call)
    after = await house.dial(HANGS_UP)
    assert await house.ended(after) == ("completed", "recipient_hung_up")
    await house.is_clean(carrier, after)
    assert (invites(carrier, call), invites(carrier, after)) == (1, 1)


def kill_job(worker: Worker) -> None:
    """The fork server's children are jobs, idle ones too; the one that holds the call has used the processor most."""
    children = psutil.Process(worker.process.pid).children()
    jobs = [job for child in children for job in child.children()]
    max(jobs, key=lambda job: sum(job.cpu_times()[:2])).kill()


async def test_a_host_that_is_frozen_for_a_while(carrier: Carrier, house: House, worker: Worker):
    call = await house.dial(TALKS)
    await call_is(house.owner, call.pk, "in_progress")
    os.killpg(worker.process.pid, signal.SIGSTOP)
    try:
        assert await house.ended(call) == ("failed", "worker_lost")
        await house.is_clean(carrier, call)
    finally:
        os.killpg(worker.process.pid, signal.SIGCONT)
    after = await house.dial(HANGS_UP)
    assert await house.ended(after, seconds=40) == ("completed", "recipient_hung_up")
    assert (invites(carrier, call), invites(carrier, after)) == (1, 1)


async def test_nobody_is_there_to_take_a_call(carrier: Carrier, house: House):
    call = await house.dial(TALKS)
    assert await house.ended(call) == ("failed", "no_worker")
    await house.is_clean(carrier, call)
    assert invites(carrier, call) == 0
    assert "dispatched_again" in await kinds(house.owner, call)


async def test_a_call_that_two_workers_are_asked_to_take(carrier: Carrier, house: House, worker: Worker, server: Any):
    with Worker(server):
        call = await house.dial(HANGS_UP)
        await call_is(house.owner, call.pk, "dispatched")
        await asyncio.gather(*(asyncio.to_thread(dispatch_job, room=call.room, call_id=call.pk) for _ in range(4)))
        assert await house.ended(call) == ("completed", "recipient_hung_up")
        await house.is_clean(carrier, call)
    assert invites(carrier, call) == 1
    assert (await kinds(house.owner, call)).count("claimed") == 1


async def test_the_carrier_does_not_answer_our_request(carrier: Carrier, house: House, worker: Worker):
    call = await house.dial(UNTOLD, ring_s=2)
    assert await house.ended(call) == ("completed", "recipient_hung_up")
    await house.is_clean(carrier, call)
    assert invites(carrier, call) == 1


async def test_an_answer_at_the_moment_we_give_up(carrier: Carrier, house: House, worker: Worker):
    call = await house.dial(LATE, ring_s=2)
    disposition, _ = await house.ended(call, seconds=30)
    assert disposition in {"no_answer", "completed", "unknown"}
    await house.is_clean(carrier, call)
    assert invites(carrier, call) == 1


async def test_a_trunk_deleted_under_us_comes_back(carrier: Carrier, house: House, worker: Worker):
    trunk = await in_db(trunk_id, house.owner)
    await house.lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk))
    call = await house.dial(HANGS_UP)
    assert await house.ended(call) == ("failed", "trunk_unknown")
    await house.is_clean(carrier, call)
    assert invites(carrier, call) == 0
    await in_db(mirroring.sync_all)
    after = await house.dial(HANGS_UP)
    assert await house.ended(after) == ("completed", "recipient_hung_up")


def trunk_id(owner: Tenant) -> str:
    with tenant_scope(owner):
        return SipTrunk.objects.get().livekit_id


async def test_a_database_that_is_away_in_mid_call(carrier: Carrier, house: House, owner: Tenant, server: Any):
    proxy = database_proxy()
    with Worker(server, DATABASE_URL=through(proxy)) as worker:
        call = await house.dial(TALKS)
        await call_is(owner, call.pk, "in_progress")
        proxy.cut()
        await asyncio.sleep(2)
        proxy.mend()
        await asyncio.sleep(2)
        assert (await call_as(owner, call.pk)).status == "in_progress", worker.said()
        await carrier.do("hang_up")
        assert await house.ended(call) == ("completed", "recipient_hung_up")
        await house.is_clean(carrier, call)
    assert await said(owner, call) != []
    assert invites(carrier, call) == 1


def database_proxy() -> Proxy:
    known = connection.get_connection_params()
    host, port = known["host"], known.get("port", 5432)
    return Proxy(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, int(port)))


def through(proxy: Proxy) -> str:
    known = connection.get_connection_params()
    login = quote(known["user"]) + (f":{quote(known['password'])}" if known.get("password") else "")
    return f"postgres://{login}@127.0.0.1:{proxy.port}/{known['dbname']}"


def kill_server() -> None:
    """Its supervisor, which runs in this process, starts it again."""
    [process] = [each for each in psutil.process_iter() if is_ours(each) and "livekit.json" in " ".join(each.cmdline())]
    process.kill()


def is_ours(process: psutil.Process) -> bool:
    return any(parent.pid == os.getpid() for parent in process.parents())


async def test_a_livekit_server_that_is_killed_in_mid_call(carrier: Carrier, house: House, worker: Worker):
    call = await house.dial(TALKS)
    await call_is(house.owner, call.pk, "in_progress")
    kill_server()
    disposition, _ = await house.ended(call, seconds=60)
    assert disposition in {"failed", "completed"}
    after = await house.dial(HANGS_UP)
    assert await house.ended(after, seconds=60) == ("completed", "recipient_hung_up"), worker.said()
    await house.is_clean(carrier, after)
    assert (invites(carrier, call), invites(carrier, after)) == (1, 1)


async def test_a_broker_that_forgets_everything(carrier: Carrier, house: House, worker: Worker, server: Any):
    call = await house.dial(TALKS)
    await call_is(house.owner, call.pk, "in_progress")
    with redis.Redis.from_url(server.exports["REDIS_URL"]) as client:
        client.flushall()
    await carrier.do("hang_up")
    assert await house.ended(call, seconds=40) == ("completed", "recipient_hung_up")
    await in_db(mirroring.sync_all)
    after = await house.dial(HANGS_UP)
    assert await house.ended(after, seconds=40) == ("completed", "recipient_hung_up")
    assert (invites(carrier, call), invites(carrier, after)) == (1, 1)


async def test_a_caller_who_hangs_up_during_the_greeting(carrier: Carrier, house: House, worker: Worker):
    await carrier.do("call", caller=CALLER, called=OURS, seconds=0.3)
    call = await first_call(house.owner)
    assert await house.ended(call) == ("completed", "caller_hung_up")
    await house.is_clean(carrier, call)


async def test_both_sides_hang_up_at_once(carrier: Carrier, house: House, worker: Worker):
    call = await house.dial(TALKS)
    await call_is(house.owner, call.pk, "in_progress")

    def hang_up() -> None:
        with tenant_scope(house.owner):
            request_hang_up(Call.objects.get(pk=call.pk))

    await asyncio.gather(in_db(hang_up), carrier.do("hang_up"))
    disposition, _ = await house.ended(call)
    assert disposition in {"completed", "canceled"}
    await house.is_clean(carrier, call)
    assert (await kinds(house.owner, call)).count("ended") == 1


async def first_call(owner: Tenant) -> Call:
    def read() -> Call | None:
        with tenant_scope(owner):
            return Call.objects.first()

    deadline = time.monotonic() + 20
    while (call := await in_db(read)) is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    return call


async def until_true(ask: Any, *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not await ask():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.1)
