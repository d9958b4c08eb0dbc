"""How each answer of a phone company reaches the one who asked for the call, through the real server."""

import asyncio
import time

import pytest
from google.protobuf.duration_pb2 import Duration
from livekit import api

from tests.livekit.rig import Carrier, Phones, until

REFUSALS = {
    486: "resource_exhausted",
    600: "resource_exhausted",
    480: "resource_exhausted",
    408: "deadline_exceeded",
    603: "permission_denied",
    403: "permission_denied",
    607: "permission_denied",
    608: "permission_denied",
    404: "not_found",
    410: "not_found",
    604: "not_found",
    484: "invalid_argument",
    400: "invalid_argument",
    488: "invalid_argument",
    401: "permission_denied",
    407: "unauthenticated",
    500: "failed_precondition",
    502: "failed_precondition",
    503: "failed_precondition",
    504: "deadline_exceeded",
}
# The server passes on two reasons of a leaving participant, 11 and 12; everything else becomes 1.
LEAVES_AS = {486: 12, 603: 12, 480: 11, 404: 11, 503: 1, 0: 11}
QUICK = {"after_s": 0.2, "rings": False}
BOOK = {
    "numbers": {
        **{
            f"+1202555{status:04}": {"outcome": "refuse", "status": status, "text": f"Text of {status}", **QUICK}
            for status in REFUSALS
        },
        "+12025551001": {"outcome": "rings_out"},
        "+12025551002": {"outcome": "refuse", "status": 503, "text": "CPS limit exceeded", **QUICK},
        "+12025551003": {"reply": "unclaimed"},
        "+12025551004": {"reply": "never", "after_s": 0.2},
        "+12025551005": {"after_s": 0.2, "reply_after_s": 3},
        "+12025551006": {"outcome": "at_cancel"},
        "+12025551007": {"after_s": 0.2, "hangs_up_after_s": 0.5},
        "+12025551008": {"after_s": 0.2},
    }
}


@pytest.mark.parametrize(("status", "code"), REFUSALS.items())
async def test_a_refusal(carrier: Carrier, phones: Phones, status, code):
    number = f"+1202555{status:04}"
    error = await phones.refused(number)
    assert (error.code, error.metadata["sip_status_code"], error.metadata["sip_status"]) == (
        code,
        str(status),
        f"Text of {status}",
    )
    *_, last = carrier.leg(to=number)
    assert (last["event"], last["by"], last["status"]) == ("end", "phone", status)


@pytest.mark.parametrize(("number", "status"), [(f"+1202555{s:04}" if s else "+12025551001", s) for s in LEAVES_AS])
async def test_the_others_in_the_room_see_why_the_phone_left(carrier: Carrier, phones: Phones, number, status):
    room = phones.new_room()
    async with phones.person(room) as person:
        await phones.refused(number, room=room, ring_s=1)
        await until(lambda: person.left)
    assert person.left == {"phone": LEAVES_AS[status]}


async def test_ringing_out_has_no_sip_status(carrier: Carrier, phones: Phones):
    began = time.monotonic()
    error = await phones.refused("+12025551001", ring_s=1)
    assert (error.code, error.metadata.get("sip_status_code")) == ("canceled", None)
    assert 1 <= time.monotonic() - began < 4
    assert carrier.events(to="+12025551001") == ["invite", "ringing", "end"]
    assert carrier.leg(to="+12025551001")[-1]["reason"] == "ring_timeout"


async def test_the_text_of_a_limit_comes_through(carrier: Carrier, phones: Phones):
    error = await phones.refused("+12025551002")
    assert (error.code, error.metadata["sip_status"]) == ("failed_precondition", "CPS limit exceeded")


async def test_nobody_takes_our_request(carrier: Carrier, phones: Phones):
    error = await phones.refused("+12025551003")
    assert (error.code, "no response from servers" in error.message) == ("unavailable", True)
    assert carrier.leg(to="+12025551003") == []


async def test_an_unknown_trunk_is_told_by_the_server(carrier: Carrier, phones: Phones, lk: api.LiveKitAPI):
    request = api.CreateSIPParticipantRequest(sip_trunk_id="ST_none", sip_call_to="+12025551008", room_name=phones.new_room())
    with pytest.raises(api.TwirpError) as refused:
        await lk.sip.create_sip_participant(request)
    assert (refused.value.code, "sip trunk" in refused.value.message) == ("not_found", True)


@pytest.mark.parametrize("number", ["+12025551004", "+12025551005"])
async def test_a_phone_may_be_answered_though_we_never_hear_of_it(carrier: Carrier, phones: Phones, lk: api.LiveKitAPI, number):
    room = phones.new_room()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await phones.dial(number, room=room)
    assert carrier.events(to=number) == ["invite", "ringing", "answer"]
    found = await lk.room.get_participant(api.RoomParticipantIdentity(room=room, identity="phone"))
    assert found.attributes["sip.callStatus"] == "active"


@pytest.mark.parametrize("cancels", ["ringing timeout", "removal"])
async def test_an_answer_that_crosses_our_cancel_is_hung_up(carrier: Carrier, phones: Phones, lk: api.LiveKitAPI, cancels):
    room = phones.new_room()
    dialing = asyncio.create_task(phones.refused("+12025551006", room=room, ring_s=1 if cancels == "ringing timeout" else 20))
    if cancels == "removal":
        await until(lambda: "ringing" in [line["event"] for line in carrier.leg(room=room)])
        await lk.room.remove_participant(api.RoomParticipantIdentity(room=room, identity="phone"))
    assert (await dialing).code == "canceled"
    assert carrier.events(room=room) == ["invite", "ringing", "answer", "end"]
    answer, end = carrier.leg(room=room)[-2:]
    assert end["mono"] - answer["mono"] < 0.1
    assert end["by"] == ("carrier" if cancels == "ringing timeout" else "agent")


async def test_a_phone_that_hangs_up(carrier: Carrier, phones: Phones):
    room = phones.new_room()
    async with phones.person(room) as person:
        await phones.dial("+12025551007", room=room)
        await until(lambda: person.left)
    assert person.left == {"phone": 1}
    assert carrier.leg(room=room)[-1]["by"] == "phone"


async def test_without_waiting_the_answer_comes_before_the_phone_rings(carrier: Carrier, phones: Phones):
    room = phones.new_room()
    made = await phones.dial("+12025550486", room=room, wait=False)
    assert made.sip_call_id.startswith("SCL_")
    await until(lambda: carrier.events(room=room)[-1:] == ["end"])


async def test_the_longest_duration_is_kept(carrier: Carrier, phones: Phones):
    room = phones.new_room()
    await phones.dial("+12025551008", room=room, max_call_duration=Duration(seconds=1))
    await until(lambda: carrier.events(room=room)[-1:] == ["end"])
    assert carrier.leg(room=room)[-1]["reason"] == "max_duration"
