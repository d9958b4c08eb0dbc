"""Machines at the other end of a call, from the carrier's log: what it played, what it heard and when."""

import asyncio
import json
import time
from typing import Any

import pytest

from agents.testing import make_agent
from calls.models import Call
from calls.services import dispatching
from calls.services.outbound import place_outbound
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests.livekit.platform import Worker, call_as, call_is, in_db
from tests.livekit.rig import Carrier, until
from voice_worker.simulation.carrier.log import Entry

RINGS = {"after_s": 2}
"""Long enough for the agent to be ready when they answer, as it is where people answer."""
GREETING = "You have reached my voicemail. Please leave your name and your number."
MENU = "For sales, press 1. For support, press 2."
SCREEN = "Hi, if you record your name and reason for calling, I'll see if this person is available."
BOOK = {
    "numbers": {
        "+12025550111": {"then": {"kind": "voicemail", "greeting": GREETING}, **RINGS},
        "+12025550112": {"then": {"kind": "voicemail", "greeting": GREETING, "beep": False}, **RINGS},
        "+12025550113": {"then": {"kind": "menu", "prompt": MENU, "options": {"1": {"kind": "silence"}}}, **RINGS},
        "+12025550114": {"then": {"kind": "screening", "question": SCREEN, "accepts": False, "decides_s": 1}, **RINGS},
        "+12025550115": {"then": {"kind": "silence"}, "hangs_up_after_s": 8, **RINGS},
    }
}
MACHINES = {
    "on_voicemail": "leave_message",
    "voicemail_message": "Hello, this is a message of some length.",
    "on_menu": "continue",
    "introduction": "This is Ava, about your order.",
    "silence_after_answer_s": 4,
}


async def dial(tenant: Tenant, to: str) -> Call:
    def place() -> Call:
        with tenant_scope(tenant):
            agent = make_agent(settings={"machines": MACHINES}, tools={"press_digits": {}, "end_call": {}})
            return place_outbound(to=to, agent=agent, kind="outbound", override_gates="a test at any hour")

    call = await in_db(place)
    assert await in_db(dispatching.dispatch_due) == 1
    return call


def hearing(server: Any, *texts: str) -> Worker:
    """A worker that understands what the carrier only murmurs, and chooses 1 from menus."""
    rules = [{"hears": "press 1", "tool": "press_digits", "arguments": {"digits": "1"}}, {"hears": "4321", "say": "I see."}]
    return Worker(server, VP_TEST_HEARS=json.dumps(texts), VP_TEST_RULES=json.dumps(rules))


def message_of(carrier: Carrier, call: Call) -> Entry:
    return next(line for line in carrier.leg(room=call.room) if line["event"] == "message")


@pytest.mark.parametrize("phone", ["+12025550111", "+12025550112"], ids=["beep", "no beep"])
async def test_the_message_reaches_the_mailbox_whole(carrier, caller, number, lk, server, phone):
    with hearing(server, GREETING):
        call = await dial(caller, phone)
        ended = await call_is(caller, call.pk, "ended", seconds=40)
    assert (ended.answered_by, ended.disposition, ended.ended_reason) == ("machine_vm", "voicemail", "message_left")
    await until(lambda: "message" in carrier.events(room=call.room))
    # A tone of a second for 15 characters; the mailbox records only after its greeting and its beep.
    assert message_of(carrier, call)["seconds"] == pytest.approx(len(MACHINES["voicemail_message"]) / 15, abs=0.5)


async def test_a_menu_is_chosen_from_and_keys_come_back_hidden(carrier, caller, number, lk, server):
    def said() -> list[str]:
        with tenant_scope(caller):
            return list(Call.objects.get(pk=call.pk).turns.values_list("text", flat=True))

    with hearing(server, MENU):
        call = await dial(caller, "+12025550113")
        await until(lambda: "digit" in carrier.events(room=call.room), seconds=40)
        [digit] = [line for line in carrier.leg(room=call.room) if line["event"] == "digit"]
        assert (digit["way"], digit["digit"]) == ("heard", "1")
        await carrier.do("press", leg=digit["leg"], digits="4321#")
        deadline = time.monotonic() + 20
        while "I see." not in await in_db(said):
            assert time.monotonic() < deadline, await in_db(said)
            await asyncio.sleep(0.2)
    assert (await call_as(caller, call.pk)).answered_by == "machine_ivr"
    *menu, pressed, answer = await in_db(said)
    assert (set(menu), pressed, answer) == ({MENU}, "[pressed: ••••#]", "I see.")


async def test_whoever_screens_hears_the_introduction(carrier, caller, number, lk, server):
    with hearing(server, SCREEN):
        call = await dial(caller, "+12025550114")
        ended = await call_is(caller, call.pk, "ended", seconds=40)
    assert (ended.answered_by, ended.ended_reason) == ("screening", "recipient_hung_up")
    await until(lambda: "message" in carrier.events(room=call.room))
    assert message_of(carrier, call)["seconds"] == pytest.approx(len(MACHINES["introduction"]) / 15, abs=0.5)


async def test_whoever_says_nothing_hears_the_agent(carrier, caller, number, lk, server):
    with hearing(server, "Hello?"):
        call = await dial(caller, "+12025550115")
        await call_is(caller, call.pk, "ended", seconds=40)

    def greeted() -> bool:
        with tenant_scope(caller):
            return Call.objects.get(pk=call.pk).turns.filter(speaker="agent", source="greeting").exists()

    assert (await call_as(caller, call.pk)).answered_by == "uncertain"
    assert await in_db(greeted)
