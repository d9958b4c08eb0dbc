"""A host that is told to stop: what becomes of its calls, by the carrier's own account."""

import signal
from typing import Any

import pytest

from agents.testing import make_agent
from calls.models import Call
from calls.services import dispatching
from calls.services.outbound import place_outbound
from tenants.models import Tenant
from tests.livekit.platform import Worker, as_tenant, call_as, call_is, in_db, the_host
from tests.livekit.rig import Carrier, until

TALKS_ON, HANGS_UP, LATER = "+12025550121", "+12025550122", "+12025550123"
BOOK = {"numbers": {TALKS_ON: {"after_s": 0.2}, HANGS_UP: {"after_s": 0.2, "hangs_up_after_s": 8}, LATER: {"after_s": 0.2}}}


pytestmark = pytest.mark.usefixtures("number")


async def dial(tenant: Tenant, to: str) -> Call:
    def place() -> Call:
        agent = make_agent(settings={"opening": {"greeting": "Hello there."}})
        return place_outbound(to=to, agent=agent, kind="outbound", override_gates="a test at any hour")

    call: Call = await as_tenant(tenant, place)
    assert await in_db(dispatching.dispatch_due) == 1
    return call


async def ended_as(tenant: Tenant, call: Call) -> tuple[str, str]:
    ended = await call_is(tenant, call.pk, "ended")
    return ended.disposition, ended.ended_reason


async def test_a_host_that_drains_takes_no_new_call_and_lets_the_running_one_end(carrier: Carrier, server: Any, caller: Tenant):
    with Worker(server, drain_s=30) as worker:
        running = await dial(caller, HANGS_UP)
        await call_is(caller, running.pk, "in_progress")
        worker.process.send_signal(signal.SIGTERM)
        await until(lambda: "the host stops" in worker.said())
        waiting = await dial(caller, LATER)
        host = await the_host()
        assert (host.draining, host.retired_at) == (True, None)
        assert await ended_as(caller, running) == ("completed", "recipient_hung_up")
        assert await worker.exit_code(seconds=20) == 0
    assert (await the_host()).retired_at
    later = await call_as(caller, waiting.pk)
    assert (later.status, later.job_id) == ("dispatched", "")
    assert carrier.events(to=LATER) == []


@pytest.mark.parametrize("by", ["the end of the drain", "a second signal"])
async def test_a_call_that_goes_on_is_ended_and_its_phone_hung_up(carrier: Carrier, server: Any, caller: Tenant, by: str):
    with Worker(server, drain_s=2 if by == "the end of the drain" else 300) as worker:
        call = await dial(caller, TALKS_ON)
        await call_is(caller, call.pk, "in_progress")
        worker.process.send_signal(signal.SIGTERM)
        if by == "a second signal":
            await until(lambda: "the host stops" in worker.said())
            worker.process.send_signal(signal.SIGTERM)
        assert await worker.exit_code(seconds=30) == 0
    assert await ended_as(caller, call) == ("failed", "worker_shutdown")
    last = await until(lambda: [line for line in carrier.leg(room=call.room) if line["event"] == "end"])
    assert last[0]["by"] != "phone"


async def test_a_host_without_its_server_stops_too(server: Any):
    with Worker(server, says="failed to connect to livekit", LIVEKIT_URL="ws://127.0.0.1:9") as worker:
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.exit_code(seconds=15) == 0
    assert (await the_host()).retired_at
