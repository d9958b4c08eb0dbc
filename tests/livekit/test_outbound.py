"""Calls to people, from the API's service to the carrier's log: the carrier's own account is the oracle."""

from typing import Any

import pytest
from livekit import api

from agents.testing import make_agent
from calls.models import Call, CallEvent, Leg, LineSlot, PhoneNumber, SipTrunk
from calls.services import dispatching
from calls.services.commands import request_hang_up
from calls.services.outbound import place_outbound
from tenants.models import Tenant
from tests.livekit.platform import Worker, as_tenant, call_is, in_db
from tests.livekit.rig import Carrier, until

QUICK = {"after_s": 0.2}
BOOK = {
    "numbers": {
        "+12025550101": {"outcome": "refuse", "status": 486, "text": "Busy Here", **QUICK},
        "+12025550102": {"outcome": "rings_out"},
        "+12025550103": {"outcome": "refuse", "status": 603, "text": "Decline", **QUICK},
        "+12025550104": {"outcome": "refuse", "status": 404, "text": "Not Found", **QUICK},
        "+12025550105": {"outcome": "refuse", "status": 503, "text": "CPS limit exceeded", **QUICK},
        "+12025550106": {"outcome": "refuse", "status": 401, "text": "Unauthorized", **QUICK},
        "+12025550107": {"hangs_up_after_s": 2, **QUICK},
        "+12025550108": {"then": {"kind": "tone", "token": 40}, **QUICK},
    }
}


async def dial(tenant: Tenant, to: str, **asked: Any) -> Call:
    def place() -> Call:
        agent = make_agent(settings={"opening": {"greeting": "Hello there."}})
        call = place_outbound(to=to, agent=agent, kind="outbound", override_gates="a test at any hour", **asked)
        Call.objects.filter(pk=call.pk).update(ring_timeout_s=3)
        return call

    call: Call = await as_tenant(tenant, place)
    assert await in_db(dispatching.dispatch_due) == 1
    return call


async def is_clean(tenant: Tenant, lk: api.LiveKitAPI, call: Call) -> bool:
    rooms = await lk.room.list_rooms(api.ListRoomsRequest(names=[call.room]))
    return not rooms.rooms and await as_tenant(tenant, lambda: not LineSlot.objects.filter(call=call).exists())


@pytest.mark.parametrize(
    ("phone", "disposition", "reason"),
    [
        ("+12025550101", "busy", "busy"),
        ("+12025550102", "no_answer", "no_answer"),
        ("+12025550103", "rejected", "declined"),
        ("+12025550104", "invalid_number", "unallocated"),
        ("+12025550105", "failed", "carrier_limit"),
        ("+12025550106", "failed", "trunk_credentials"),
        ("+12025550107", "completed", "recipient_hung_up"),
    ],
)
async def test_every_end_is_told_as_the_carrier_tells_it(carrier, caller, number, worker, lk, phone, disposition, reason):
    call = await dial(caller, phone)
    ended = await call_is(caller, call.pk, "ended", seconds=30)
    assert (ended.disposition, ended.ended_reason) == (disposition, reason), ended.ended_detail
    assert carrier.events(room=call.room).count("invite") == 1
    await until(lambda: is_clean(caller, lk, call))

    def facts() -> tuple[list[str], bool, bool]:
        leg, kinds = Leg.objects.get(call=call), list(CallEvent.objects.filter(call=call).values_list("kind", flat=True))
        return kinds, leg.ended_at is not None, SipTrunk.objects.get().stopped_at is not None

    kinds, leg_ended, stopped = await as_tenant(caller, facts)
    assert kinds[:4] == ["queued", "dispatched", "claimed", "prepared"] or kinds[:3] == ["queued", "dispatched", "claimed"]
    assert kinds.count("dialing") == 1
    assert leg_ended
    assert stopped == (reason == "trunk_credentials")


async def test_the_person_hears_the_agent_and_is_heard(
    carrier: Carrier, caller: Tenant, number: PhoneNumber, worker: Worker, lk: api.LiveKitAPI
):
    call = await dial(caller, "+12025550108")
    running = await call_is(caller, call.pk, "in_progress")
    assert running.answered_at
    await until(lambda: carrier.events(room=call.room)[:3] == ["invite", "ringing", "answer"])

    await as_tenant(caller, lambda: request_hang_up(Call.objects.get(pk=call.pk), reason="Enough"))
    ended = await call_is(caller, call.pk, "ended")
    assert (ended.disposition, ended.ended_reason) == ("canceled", "canceled_by_user")
    await until(lambda: carrier.events(room=call.room)[-1] == "end")
