"""Whatever dies, the ledger says what the carrier says, and nobody is left in a silent room.

The oracle is the carrier's log: how often it was asked to ring, and when every leg ended (`House.adds_up`).
"""

import asyncio
import json
import os
import signal
from itertools import pairwise
from typing import Any

import psutil
import pytest
from django.db import transaction
from livekit import api

from calls.models import Call, ProviderEvent, SipTrunk, WorkerHost
from calls.services import people
from calls.telephony import mirroring
from calls.telephony.dispatches import dispatch_job
from tests.livekit.house import COMPLETED, LOST, OURS, House
from tests.livekit.platform import Worker, in_db
from tests.livekit.rig import Carrier, Gate, until

QUICK = {"after_s": 0.2}
TALKS, RINGS, UNRUNG, HANGS_UP, NOBODYS = (f"+1202555010{n}" for n in (1, 2, 3, 4, 6))
CALLER = "+12025550116"
BOOK = {
    "numbers": {
        TALKS: {"then": {"kind": "silence"}, **QUICK},
        RINGS: {"outcome": "rings_out"},
        UNRUNG: {"outcome": "rings_out", "rings": False},
        HANGS_UP: {"hangs_up_after_s": 0.3, **QUICK},
        CALLER: {"then": {"kind": "tone", "token": 41}},
        "+1202555012?": {"hangs_up_after_s": 0.3, **QUICK},
    }
}


async def test_a_worker_killed_before_it_has_asked_to_ring(house: House, server: Any):
    gate = Gate(server)
    with Worker(server, LIVEKIT_URL=gate.url) as worker:
        call = await house.dial(TALKS)
        await until(gate.held.is_set, seconds=20)
        await house.is_at(call, "dialing", seconds=1)
        await house.breaks(worker.kill)
        await until(gate.dropped.is_set)
        gate.let_through()
        assert await house.ended(call) == LOST
        await house.adds_up(rang={call.pk: 0})
    gate.cut()


@pytest.mark.parametrize(("phone", "status"), [(UNRUNG, "dialing"), (RINGS, "ringing")])
async def test_a_worker_killed_before_anybody_answers(carrier: Carrier, house: House, worker: Worker, phone: str, status: str):
    call = await house.dial(phone)
    await until(lambda: carrier.events(room=call.room), seconds=20)
    await house.is_at(call, status)
    await house.breaks(worker.kill)
    assert await house.ended(call) == LOST
    await house.adds_up()


async def test_a_worker_killed_while_it_talks(house: House, worker: Worker, server: Any):
    call = await house.dial(TALKS)
    await house.talks(call)
    await house.breaks(worker.kill)
    assert await house.ended(call) == LOST
    await house.adds_up()
    with Worker(server, VP_SPOOL=worker.env["VP_SPOOL"], VP_FILES=worker.env["VP_FILES"]):
        await house.finalized(call)
    await house.adds_up()


async def test_a_job_that_is_killed_takes_nobody_with_it(house: House, worker: Worker):
    call = await house.dial(TALKS)
    await house.talks(call)
    await house.breaks(job_of(worker).kill)
    assert await house.ended(call) == LOST
    assert await house.ended(await house.dial(HANGS_UP)) == COMPLETED
    await house.adds_up()


def job_of(worker: Worker) -> psutil.Process:
    """The fork server's children are jobs, idle ones too; the one that holds the call has used the processor most."""
    children = psutil.Process(worker.process.pid).children()
    jobs = [job for child in children for job in child.children()]
    return max(jobs, key=lambda job: sum(job.cpu_times()[:2]))


async def test_a_job_that_is_frozen_and_told_to_hang_up(house: House, worker: Worker):
    call = await house.dial(TALKS)
    await house.talks(call)
    job = job_of(worker)
    await house.breaks(job.suspend)
    await house.hang_up(call)
    assert await house.ended(call) == ("canceled", "canceled_by_user")
    await house.adds_up()
    job.kill()


async def test_a_host_that_is_frozen_for_a_while(house: House, worker: Worker):
    call = await house.dial(TALKS)
    await house.talks(call)
    await house.breaks(lambda: os.killpg(worker.process.pid, signal.SIGSTOP))
    try:
        assert await house.ended(call) == LOST
        await house.adds_up()
    finally:
        os.killpg(worker.process.pid, signal.SIGCONT)
    assert await house.ended(await house.dial(HANGS_UP), seconds=40) == COMPLETED
    await house.adds_up()


async def test_nobody_is_there_to_take_a_call(house: House):
    call = await house.dial(TALKS)
    assert await house.ended(call) == ("failed", "no_worker")
    await house.adds_up(rang={call.pk: 0})
    assert (await house.kinds(call)).count("dispatched_again") > 1


async def test_nobody_is_there_to_answer_a_caller(carrier: Carrier, house: House):
    calling = asyncio.create_task(carrier.do("call", caller=CALLER, called=OURS))
    await house.breaks(lambda: until(lambda: "ringing" in carrier.events(to=OURS)))
    [result] = await calling
    *_, end = carrier.leg(to=OURS)
    assert (result["leg"], end["by"], end["reason"]) == ("", "agent", "room_deleted")
    await house.adds_up()


async def test_a_call_that_two_workers_are_asked_to_take(house: House, worker: Worker, server: Any):
    with Worker(server):
        call = await house.dial(HANGS_UP)
        await house.is_at(call, "dispatched")
        await asyncio.gather(*(asyncio.to_thread(dispatch_job, room=call.room, call_id=call.pk) for _ in range(4)))
        assert await house.ended(call) == COMPLETED
        await house.adds_up()


async def test_a_trunk_deleted_under_us_comes_back(house: House, worker: Worker):
    trunk = await house.run(lambda: SipTrunk.objects.get().livekit_id)
    await house.lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk))
    call = await house.dial(HANGS_UP)
    assert await house.ended(call) == ("failed", "trunk_unknown")
    await in_db(mirroring.sync_all)
    assert await house.ended(await house.dial(HANGS_UP)) == COMPLETED
    await house.adds_up(rang={call.pk: 0})
    assert "was missing" in await house.run(lambda: SipTrunk.objects.get().drift)


async def test_somebody_suppressed_after_the_call_was_placed(house: House, worker: Worker):
    @transaction.atomic
    def place() -> Call:
        call = house.place(TALKS)
        people.suppress(phone=TALKS, source="complaint")
        return call

    call = await house.run(place)
    assert await house.ended(call) == ("blocked", "recipient_suppressed")
    await house.adds_up(rang={call.pk: 0})


MISSED = ("failed", "cps_missed")


async def test_no_second_holds_more_calls_than_the_carrier_allows(carrier: Carrier, house: House, worker: Worker):
    missed: dict[Any, int] = {}

    async def reach(phone: str) -> None:
        """A job that comes too late for its turn asks nobody to ring."""
        call = await house.dial(phone)
        while (how := await house.ended(call)) == MISSED:
            missed[call.pk] = 0
            call = await house.dial(phone)
        assert how == COMPLETED

    await house.run(lambda: SipTrunk.objects.update(cps=1))
    await asyncio.gather(*(reach(f"+1202555012{n}") for n in range(3)))
    await house.adds_up(rang=missed)
    rang = [lines[0]["mono"] for lines in carrier.legs().values() if lines[0]["to"].startswith("+1202555012")]
    assert all(later - earlier >= 1 for earlier, later in pairwise(rang)), rang


async def test_a_number_that_is_not_routed(carrier: Carrier, house: House, worker: Worker):
    await carrier.do("call", caller=CALLER, called=NOBODYS)
    await until(lambda: carrier.events(to=NOBODYS)[-1] == "end", seconds=20)
    told = await in_db(lambda: list(ProviderEvent.objects.values_list("kind", "body__called", "body__why")))
    assert told == [("stray_call", NOBODYS, "nobody_has_the_number")]
    await house.adds_up()
    assert await house.run(Call.objects.count) == 0


async def test_both_sides_hang_up_at_once(carrier: Carrier, house: House, worker: Worker):
    call = await house.dial(TALKS)
    await house.is_at(call, "in_progress")
    await asyncio.gather(house.hang_up(call), carrier.do("hang_up"))
    disposition, _ = await house.ended(call)
    assert disposition in {"completed", "canceled"}
    await house.adds_up()


async def test_a_caller_who_hangs_up_during_the_greeting(carrier: Carrier, house: House, worker: Worker):
    await carrier.do("call", caller=CALLER, called=OURS, seconds=0.3)
    call = await house.comes()
    assert await house.ended(call) == ("completed", "caller_hung_up")
    await house.adds_up()


PRESSES = {"hears": "number", "tool": "press_digits", "arguments": {"digits": "1" + 12 * "w"}}
ASKS = {"kind": "menu", "prompt": "Please give me the number.", "options": {"1": {"kind": "silence"}}, "times": 5}


async def test_a_caller_who_hangs_up_while_a_tool_runs(carrier: Carrier, house: House, server: Any):
    with Worker(server, VP_TEST_HEARS=json.dumps([ASKS["prompt"]]), VP_TEST_RULES=json.dumps([PRESSES])):
        await carrier.do("call", caller=CALLER, called=OURS, actor=json.dumps(ASKS))
        call = await house.comes()
        # The key is pressed; the pauses after it take six seconds.
        await until(lambda: "digit" in carrier.events(room=call.room), seconds=20)
        await house.breaks(lambda: carrier.do("hang_up"))
        assert await house.ended(call, seconds=3) == ("completed", "caller_hung_up")
        await house.finalized(call)
        await until(lambda: in_db(lambda: WorkerHost.objects.filter(job_ids=[]).exists()), seconds=15)
        await house.adds_up()
    used = await house.run(lambda: list(Call.objects.get(pk=call.pk).tool_calls.values_list("key", "status")))
    # What it was to do was done before it learned that nobody is there any more.
    assert (used, carrier.events(room=call.room).count("digit")) == ([("press_digits", "ok")], 1)
