"""Steering phone calls on the real server, listening in and taking over: the carrier's account is the oracle."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from livekit import api, rtc

from agents.testing import make_agent
from calls.models import Call, CallCommand, CallEvent, Supervision
from calls.services import dispatching
from calls.services.actions import Wanted, request_action
from calls.services.outbound import place_outbound
from calls.services.supervision import Admission, Mode, admit
from calls.telephony.tokens import listeners_token
from tenants.models import Tenant, User
from tenants.scope import tenant_scope
from tests.livekit import recorded
from tests.livekit.browsers import Browser
from tests.livekit.platform import Worker, call_is, in_db
from tests.livekit.rig import Carrier, until
from voice_worker.recording import AGENT, CALLER

QUICK = {"after_s": 0.2}
CALLEE, OTHER, BUSY = "+12025550141", "+12025550142", "+12025550143"
BOOK = {
    "numbers": {
        CALLEE: {"then": {"kind": "tone", "token": 43}, **QUICK},
        OTHER: QUICK,
        BUSY: {"outcome": "refuse", "status": 486, "text": "Busy Here", **QUICK},
    }
}
Kind = CallCommand.Kind
SAYS = 47


@pytest.fixture
def worker(caller: Tenant, server: Any, settings: Any) -> Iterator[Worker]:
    settings.LIVEKIT_PUBLIC_URL = server.exports["LIVEKIT_URL"]
    with Worker(server) as running:
        yield running


async def talking(tenant: Tenant) -> Call:
    def place() -> Call:
        with tenant_scope(tenant):
            settings = {
                "opening": {"greeting": "Hello there."},
                "limits": {"silence_prompt_after_s": 60},
                "hand_back": "I am back.",
            }
            asked = {"kind": "outbound", "override_gates": "a test at any hour"}
            return place_outbound(to=CALLEE, agent=make_agent(settings=settings), **asked)

    call = await in_db(place)
    assert await in_db(dispatching.dispatch_due) == 1
    return await call_is(tenant, call.pk, "in_progress")


async def act(tenant: Tenant, call: Call, kind: Kind, *, seconds: float = 20, **fields: Any) -> tuple[str, str]:
    def ask() -> CallCommand:
        with tenant_scope(tenant):
            return request_action(call, Wanted(kind=kind, **fields))

    def look() -> CallCommand:
        with tenant_scope(tenant):
            return CallCommand.objects.get(pk=asked.pk)

    asked = await in_db(ask)
    deadline = time.monotonic() + seconds
    while not (found := await in_db(look)).outcome:
        assert time.monotonic() < deadline, f"{kind} is {found.state}"
        await asyncio.sleep(0.05)
    return found.state, found.outcome_reason


async def allowed(tenant: Tenant, call: Call, mode: Mode) -> Admission:
    def ask() -> Admission:
        with tenant_scope(tenant):
            staff = User.objects.filter(is_staff=True).first() or User.objects.create_user("boss@example.com", is_staff=True)
            return admit(call, mode=mode, actor=staff, reason="a test")

    return await in_db(ask)


async def rows(tenant: Tenant, call: Call) -> dict[str, Any]:
    def read() -> dict[str, Any]:
        with tenant_scope(tenant):
            turns = list(call.turns.values_list("speaker", "text"))
            events = list(CallEvent.objects.filter(call=call).values_list("kind", "at"))
            return {"turns": turns, "events": events, "supervisions": list(Supervision.objects.filter(call=call))}

    return await in_db(read)


async def test_a_call_is_steered_and_put_through(carrier: Carrier, caller: Tenant, number: Any, worker: Worker) -> None:
    call = await talking(caller)
    assert await act(caller, call, Kind.SAY, text="One moment please.") == ("done", "")
    assert await act(caller, call, Kind.SEND_DTMF, digits="1w#") == ("done", "")
    digits = [line["digit"] for line in carrier.leg(room=call.room) if line["event"] == "digit"]
    assert digits == ["1", "#"]
    assert await act(caller, call, Kind.TRANSFER, to=BUSY) == ("failed", "busy")
    assert await act(caller, call, Kind.TRANSFER, to=OTHER) == ("done", "")
    ended = await call_is(caller, call.pk, "ended")
    assert (ended.disposition, ended.ended_reason) == ("transferred", "put_through")
    moved = [(line["to"], line["status"]) for line in carrier.leg(room=call.room) if line["event"] == "transfer"]
    assert moved == [(BUSY, 486), (OTHER, 200)]


async def test_a_listener_hears_both_and_is_neither_seen_nor_heard(
    carrier: Carrier, caller: Tenant, number: Any, worker: Worker, lk: api.LiveKitAPI
) -> None:
    call = await talking(caller)
    admission = await allowed(caller, call, Mode.LISTEN)
    with Browser(admission.url, admission.token, says=SAYS) as browser:
        assert await browser.tells("room") == call.room
        assert await browser.tells("heard") == 43
        assert await browser.tells("refused")
        listed = (await lk.room.list_participants(api.ListParticipantsRequest(room=call.room))).participants
        assert len([who for who in listed if who.identity.startswith("supervisor-")]) == 1, "the server knows of them"
        await asyncio.sleep(2)
        heard = [line["token"] for line in carrier.leg(room=call.room) if line["event"] == "tone" and line["way"] == "heard"]
        assert SAYS not in heard
        assert "supervisor_joined" not in dict((await rows(caller, call))["events"]), "the agent does not see them"
    await act(caller, call, Kind.HANG_UP)


async def test_a_token_admits_to_its_room_and_not_for_long(
    caller: Tenant, server: Any, settings: Any, lk: api.LiveKitAPI
) -> None:
    url = server.exports["LIVEKIT_URL"]
    await lk.room.create_room(api.CreateRoomRequest(name="in_theirs_x"))
    late = listeners_token(room="in_mine_x", identity="supervisor-x", ttl=-timedelta(seconds=90))
    with Browser(url, late) as browser:
        assert await browser.tells("error")
    mine = listeners_token(room="in_mine_x", identity="supervisor-x", ttl=timedelta(seconds=30))
    with Browser(f"{url}?room=in_theirs_x", mine) as browser:
        told = await until(lambda: browser.told("room") or browser.told("error"), seconds=20)
        assert told[0] != "in_theirs_x"
    forged = mine[:-4] + ("AAAA" if not mine.endswith("AAAA") else "BBBB")
    with Browser(url, forged) as browser:
        assert await browser.tells("error")


async def said_by_agent(tenant: Tenant, call: Call, text: str) -> float:
    """Seconds until it was."""
    since = time.monotonic()
    while ("agent", text) not in (await rows(tenant, call))["turns"]:
        assert time.monotonic() - since < 40
        await asyncio.sleep(0.1)
    return time.monotonic() - since


async def spoke_again(tenant: Tenant, call: Call) -> float:
    """Seconds until the agent has said that it is back."""
    return await said_by_agent(tenant, call, "I am back.")


async def has_left(tenant: Tenant, call: Call) -> Supervision:
    """The only admission to the call, once the server has given up whoever had it."""
    since = time.monotonic()
    while not (row := (await rows(tenant, call))["supervisions"][0]).left_at:
        assert time.monotonic() - since < 40
        await asyncio.sleep(0.3)
    return row


async def taken_over(carrier: Carrier, tenant: Tenant, call: Call, browser: Browser) -> None:
    assert await browser.tells("heard") == 43
    await until(lambda: SAYS in [line.get("token") for line in carrier.leg(room=call.room)], seconds=20)
    assert await act(tenant, call, Kind.SAY, text="Hello.") == ("failed", "agent_muted")


async def test_a_supervisor_who_dies_gives_the_call_back(carrier: Carrier, caller: Tenant, number: Any, worker: Worker) -> None:
    call = await talking(caller)
    admission = await allowed(caller, call, Mode.TAKE_OVER)
    with Browser(admission.url, admission.token, says=SAYS) as browser:
        await taken_over(carrier, caller, call, browser)
        browser.kill()
        seconds = await spoke_again(caller, call)
    sys.stderr.write(f"the agent had spoken again {seconds:.1f} s after the browser died\n")
    assert seconds < 15
    row = await has_left(caller, call)
    assert row.left_at > row.joined_at
    assert await act(caller, call, Kind.HANG_UP) == ("done", "")


async def test_a_token_is_used_once(carrier: Carrier, caller: Tenant, number: Any, worker: Worker) -> None:
    call = await talking(caller)
    admission = await allowed(caller, call, Mode.TAKE_OVER)
    with Browser(admission.url, admission.token, says=SAYS) as browser:
        await taken_over(carrier, caller, call, browser)
        with Browser(admission.url, admission.token, says=SAYS + 9) as second:
            assert await second.tells("left") == rtc.DisconnectReason.PARTICIPANT_REMOVED
            await spoke_again(caller, call)
    row = await has_left(caller, call)
    assert row.left_at > row.joined_at
    assert await act(caller, call, Kind.HANG_UP) == ("done", "")


async def test_what_is_said_in_the_agents_place_is_recorded_and_written_down(
    carrier: Carrier, caller: Tenant, number: Any, server: Any, settings: Any
) -> None:
    settings.LIVEKIT_PUBLIC_URL = server.exports["LIVEKIT_URL"]
    said = "Good morning, this is the manager."
    with Worker(server, VP_TEST_HEARS=json.dumps([said])) as worker:
        call = await talking(caller)
        await said_by_agent(caller, call, "Hello there.")
        admission = await allowed(caller, call, Mode.TAKE_OVER)
        with Browser(admission.url, admission.token, says=SAYS, murmurs=said) as browser:
            await taken_over(carrier, caller, call, browser)
        await spoke_again(caller, call)
        assert await act(caller, call, Kind.HANG_UP) == ("done", "")
        assert SAYS in await recorded.tokens(worker, caller, call, channel=AGENT)
        assert SAYS not in await recorded.tokens(worker, caller, call, channel=CALLER)
        turns = (await rows(caller, call))["turns"]
        assert turns == [("agent", "Hello there."), ("person", said), ("agent", "I am back.")]
