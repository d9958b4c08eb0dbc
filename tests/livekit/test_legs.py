"""What a leg does in its room: attributes, sound, digits, transfers; and calls from outside."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from google.protobuf.duration_pb2 import Duration
from livekit import api

from tests.livekit.rig import OURS, Carrier, Phones, until

TONE = {"kind": "tone", "token": 40}
QUICK = {"after_s": 0.2}
BOOK = {
    "numbers": {
        "+12025550001": {"then": TONE, **QUICK},
        "+12025550002": {**QUICK},
        "+12025550003": {"then": {"kind": "menu", "prompt": "Press.", "options": {"7": TONE}, "waits_s": 20}, **QUICK},
        "+12025550004": {"then": {"kind": "menu", "prompt": "Press.", "times": 1, "waits_s": 0.1}, **QUICK},
        "+12025550005": {"then": {"kind": "voicemail", "greeting": "Hello.", "longest_s": 3}, **QUICK},
        "+12025550006": {"then": {"kind": "voicemail", "greeting": "Hello.", "beep": False}, **QUICK},
        "+12025550007": {"then": {"kind": "screening", "question": "Who is it?", "waits_s": 0.5}, **QUICK},
        "+12025550009": {"then": {"kind": "screening", "question": "Who is it?", "decides_s": 0.2, "then": TONE}, **QUICK},
        "+12025550008": {"then": {"kind": "silence", "thin": True}, **QUICK},
        "+12025550011": {**QUICK},
        "+12025550012": {"outcome": "refuse", "status": 486, "text": "Busy Here", **QUICK},
        "+12025550013": {"outcome": "rings_out"},
    }
}


@pytest.fixture
async def ours(lk: api.LiveKitAPI) -> AsyncIterator[str]:
    """A number of ours with a trunk and a rule that opens rooms."""
    number = "+12025559000"
    trunk = await lk.sip.create_inbound_trunk(
        api.CreateSIPInboundTrunkRequest(trunk=api.SIPInboundTrunkInfo(name="in", numbers=[number]))
    )
    rule = api.SIPDispatchRule(dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix="in"))
    made = await lk.sip.create_dispatch_rule(
        api.CreateSIPDispatchRuleRequest(rule=rule, trunk_ids=[trunk.sip_trunk_id], attributes={"number": "first"})
    )
    yield number
    await lk.sip.delete_dispatch_rule(api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=made.sip_dispatch_rule_id))
    await lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk.sip_trunk_id))


async def test_an_outbound_leg_shows_what_a_sip_participant_shows(carrier: Carrier, phones: Phones):
    room = phones.new_room()
    async with phones.person(room) as person:
        made = await phones.dial("+12025550001", room=room)
        await until(lambda: person.statuses[-1:] == ["active"])
        shown = person.phone().attributes
    assert person.statuses == ["dialing", "ringing", "active"]
    assert (shown["sip.callID"], shown["sip.trunkID"]) == (made.sip_call_id, phones.trunk)
    assert (shown["sip.phoneNumber"], shown["sip.trunkPhoneNumber"]) == ("+12025550001", OURS)


async def test_tokens_are_heard_both_ways(carrier: Carrier, phones: Phones):
    room = phones.new_room()
    async with phones.person(room) as person:
        await person.publish(token=41)
        await phones.dial("+12025550001", room=room)
        await until(lambda: person.tokens and "heard" in [line.get("way") for line in carrier.leg(room=room)])
    assert person.tokens == [40]
    assert [(line["way"], line["token"]) for line in carrier.leg(room=room) if line["event"] == "tone"] == [
        ("played", 40),
        ("heard", 41),
    ]


async def test_digits_travel_both_ways(carrier: Carrier, phones: Phones):
    room = phones.new_room()
    async with phones.person(room) as person:
        made = await phones.dial("+12025550002", room=room, dtmf="1w2")
        await person.room.local_participant.publish_dtmf(code=5, digit="5")
        await carrier.do("press", leg=made.sip_call_id, digits="9#")
        await until(lambda: person.digits == ["9", "#"])
        await until(lambda: len([line for line in carrier.leg(room=room) if line["event"] == "digit"]) == 5)
    digits = [(line["way"], line["digit"]) for line in carrier.leg(room=room) if line["event"] == "digit"]
    assert [digit for way, digit in digits if way == "heard"] == ["1", "2", "5"]
    assert [digit for way, digit in digits if way == "sent"] == ["9", "#"]


async def test_a_menu_goes_on_as_the_digit_says(carrier: Carrier, phones: Phones):
    room = phones.new_room()
    async with phones.person(room) as person:
        await phones.dial("+12025550003", room=room)
        for _ in range(10):  # a digit sent while the other side's data channel is being opened gets lost
            await person.room.local_participant.publish_dtmf(code=7, digit="7")
            with suppress(AssertionError):
                await until(lambda: person.tokens, seconds=2)
                break
        assert person.tokens == [40]


async def test_a_menu_without_a_choice_hangs_up(carrier: Carrier, phones: Phones):
    room = phones.new_room()
    await phones.dial("+12025550004", room=room)
    await until(lambda: carrier.events(room=room)[-1:] == ["end"])
    assert carrier.leg(room=room)[-1]["reason"] == "menu_without_a_choice"


@pytest.mark.parametrize(("number", "sounds"), [("+12025550005", ["greeting", "beep"]), ("+12025550006", ["greeting"])])
async def test_a_voicemail_says_how_much_it_recorded(carrier: Carrier, phones: Phones, lk: api.LiveKitAPI, number, sounds):
    room = phones.new_room()
    async with phones.person(room) as person:
        await phones.dial(number, room=room)
        await until(lambda: [line["kind"] for line in carrier.leg(room=room) if line["event"] == "sound"] == sounds)
        await person.publish(token=42)
        await asyncio.sleep(2.5)
        await lk.room.delete_room(api.DeleteRoomRequest(room=room))
        await until(lambda: carrier.events(room=room)[-1:] == ["end"])
    message = carrier.leg(room=room)[-2]
    assert message["event"] == "message"
    assert 1 < message["seconds"] < 3


async def test_screening_hangs_up_on_silence(carrier: Carrier, phones: Phones):
    room = phones.new_room()
    await phones.dial("+12025550007", room=room)
    await until(lambda: carrier.events(room=room)[-1:] == ["end"])
    assert carrier.leg(room=room)[-1]["reason"] == "screened_no_answer"


async def test_screening_puts_through_whoever_has_spoken(carrier: Carrier, phones: Phones):
    room = phones.new_room()
    async with phones.person(room) as person:
        await person.publish()
        await phones.dial("+12025550009", room=room)
        await until(lambda: "sound" in carrier.events(room=room))
        await asyncio.sleep(2)
        await person.say("This is the practice about an appointment.")
        await until(lambda: person.tokens == [40])


@pytest.mark.parametrize(
    ("target", "code", "status"),
    [("+12025550011", "", 200), ("+12025550012", "resource_exhausted", 486), ("+12025550013", "deadline_exceeded", 408)],
)
async def test_a_transfer(carrier: Carrier, phones: Phones, lk: api.LiveKitAPI, target, code, status):
    room = phones.new_room()
    await phones.dial("+12025550002", room=room)
    request = api.TransferSIPParticipantRequest(
        room_name=room, participant_identity="phone", transfer_to=f"tel:{target}", ringing_timeout=Duration(seconds=1)
    )
    failed = ""
    try:
        await lk.sip.transfer_sip_participant(request, timeout=20)
    except api.TwirpError as error:
        failed = error.code
    assert failed == code
    # The server gives up by itself at the very time the carrier does.
    transfer = await until(lambda: next((line for line in carrier.leg(room=room) if line["event"] == "transfer"), None))
    assert (transfer["to"], transfer["status"]) == (target, status)
    if status == 200:
        await until(lambda: carrier.leg(room=room)[-1].get("reason") == "transferred")
    else:
        assert carrier.events(room=room)[-1] == "transfer"


async def test_removing_a_phone_is_written_down_as_our_doing(carrier: Carrier, phones: Phones, lk: api.LiveKitAPI):
    room = phones.new_room()
    await phones.dial("+12025550002", room=room)
    await lk.room.remove_participant(api.RoomParticipantIdentity(room=room, identity="phone"))
    await until(lambda: carrier.events(room=room)[-1:] == ["end"])
    end = carrier.leg(room=room)[-1]
    assert (end["by"], end["reason"]) == ("agent", "participant_removed")


async def test_a_call_from_outside_goes_through_trunk_and_rule(carrier: Carrier, phones: Phones, lk: api.LiveKitAPI, ours):
    calling = asyncio.create_task(carrier.do("call", caller="+12025550001", called=ours))
    ringing = await until(lambda: next((line for line in carrier.leg(to=ours) if line["event"] == "ringing"), None))
    async with phones.person(ringing["room"]) as person:
        await asyncio.sleep(0.3)
        assert person.phone().attributes["sip.callStatus"] == "ringing"
        await person.publish()
        await until(lambda: person.tokens == [40])
        [result] = await calling
        shown, identity = person.phone().attributes, person.phone().identity
    phones.rooms.append(ringing["room"])
    assert result["result"] == "answered"
    assert ringing["room"].startswith("in_+12025550001_")
    assert (identity, shown["sip.phoneNumber"], shown["sip.trunkPhoneNumber"]) == ("sip_+12025550001", "+12025550001", ours)
    assert (shown["number"], shown["sip.ruleID"], shown["sip.callStatus"]) == ("first", ringing["rule"], "active")


async def test_a_caller_nobody_answers_gives_up(carrier: Carrier, ours):
    [result] = await carrier.do("call", caller="+12025550002", called=ours, patience_s=1)
    assert result == {"leg": "", "result": "gave_up"}
    assert carrier.events(to=ours) == ["invite", "ringing", "end"]


@pytest.mark.usefixtures("livekit")
async def test_a_number_without_a_route(carrier: Carrier):
    [result] = await carrier.do("call", caller="+12025550002", called="+12025558888")
    assert result["leg"] == ""
    assert carrier.events(to="+12025558888") == ["invite", "end"]


async def test_many_silent_legs_at_once(carrier: Carrier, phones: Phones):
    made = [await phones.dial("+12025550008", wait=False) for _ in range(25)]
    ids = {leg.sip_call_id for leg in made}
    await until(lambda: all("answer" in [line["event"] for line in carrier.legs()[leg]] for leg in ids), seconds=20)
    assert await carrier.do("hang_up") >= 25
    assert await carrier.do("legs") == []
