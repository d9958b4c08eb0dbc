"""Handing calls over on the real server: the carrier's log says who heard what, and the ledger what became of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.livekit.house import LOST, OURS, House
from tests.livekit.platform import Crew, Worker
from tests.livekit.rig import Carrier
from tests.livekit.warm import BRIEFING, CALLER, CALLERS, HOLD, PERSONS, QUICK, REASON, TONE, Handed, presses

TAKES, DECLINES, BUSY, MAILBOX, RINGS, LEAVES, QUEUE, SILENT = (f"+1202555015{n}" for n in range(1, 9))
BOOK = {
    "numbers": {
        CALLER: {"then": {"kind": "tone", "token": CALLERS}},
        TAKES: presses("1", after_s=24),
        DECLINES: presses("2", after_s=5),
        BUSY: {"outcome": "refuse", "status": 486, "text": "Busy Here", **QUICK},
        MAILBOX: {"then": {"kind": "voicemail"}, **QUICK},
        RINGS: {"outcome": "rings_out"},
        LEAVES: {"hangs_up_after_s": 5, "then": TONE, **QUICK},
        QUEUE: {"then": TONE, **QUICK},
        SILENT: {"then": TONE, **QUICK},
    }
}
TRANSFERS = {
    "1": {"targets": [{"phone": TAKES}]},
    "2": {"targets": [{"phone": DECLINES}, {"phone": BUSY}]},
    "3": {"targets": [{"phone": MAILBOX}, {"phone": LEAVES}]},
    "4": {"targets": [{"phone": RINGS, "ring_s": 5}]},
    "5": {"targets": [{"phone": RINGS, "ring_s": 60}], "policy": {"max_hold_s": 15}},
    "6": {"targets": [{"phone": QUEUE, "kind": "queue", "digits": "12"}]},
    "7": {"targets": [{"phone": SILENT}]},
    "8": {"targets": [{"phone": BUSY, "mode": "blind"}, {"phone": QUEUE, "mode": "blind"}]},
}
WORKER = {
    "DJANGO_SETTINGS_MODULE": "tests.fakes.handing_settings",
    "VP_TEST_HEARS": json.dumps(["Hello?"]),
    "VP_TEST_RULES": json.dumps(
        [{"hears": rf"pressed: {key}", "tool": "press_digits", "arguments": {"digits": key}} for key in TRANSFERS]
    ),
    "VP_TEST_TRANSFERS": json.dumps(TRANSFERS),
    "VP_TEST_REASON": REASON,
}


@pytest.fixture
def worker(caller: Any, crew: Crew) -> Iterator[Worker]:
    yield crew.worker()
    try:
        crew.rest()
    except AssertionError:
        # A call that goes on after a test that failed.
        crew.dismiss()


async def test_nobody_hears_what_is_not_for_them_and_then_both_do(carrier: Carrier, house: House, worker: Worker) -> None:
    handed = await Handed.comes(house, carrier, key="1")
    await handed.step("transfer_joined", seconds=60)
    await handed.hears(OURS, PERSONS)
    await handed.hears(TAKES, CALLERS)
    pressed = handed.pressed_at(TAKES)
    assert handed.heard(TAKES, until_mono=pressed) == {BRIEFING}
    assert handed.heard(OURS, until_mono=pressed) == HOLD
    assert handed.heard(TAKES) == {BRIEFING, CALLERS}
    assert handed.heard(OURS) == HOLD | {PERSONS}
    assert await handed.steps() == ["holding", "dialing", "answered", "briefed", "confirmed", "joined"]
    await house.is_at(handed.call, "handed_over")
    await handed.talks_on(OURS, TAKES, seconds=6)
    await carrier.do("hang_up", leg=carrier.leg(to=OURS)[0]["leg"])
    await handed.gone(OURS, TAKES)
    assert await house.ended(handed.call) == ("completed", "people_hung_up")


@pytest.mark.parametrize(
    ("key", "said", "phones"),
    [
        ("2", "Tried: declined busy", [DECLINES]),
        ("3", "Tried: voicemail declined", [MAILBOX, LEAVES]),
        ("4", "Tried: no_answer", [RINGS]),
        ("5", "Tried: no_answer", [RINGS]),
    ],
    ids=["declined, busy", "mailbox, hung up", "nobody", "held too long"],
)
async def test_the_agent_has_the_caller_again(
    carrier: Carrier, house: House, worker: Worker, key: str, said: str, phones: list[str]
) -> None:
    handed = await Handed.comes(house, carrier, key=key)
    await handed.returns(said)
    await handed.gone(*phones)
    for phone in phones:
        assert handed.heard(phone) <= {BRIEFING}
    assert handed.heard(OURS) == HOLD
    await house.hang_up(handed.call)
    assert (await house.ended(handed.call))[0] == "canceled"
    await handed.gone(OURS)


async def test_a_queue_is_joined_when_its_keys_are_pressed(carrier: Carrier, house: House, worker: Worker) -> None:
    handed = await Handed.comes(house, carrier, key="6")
    await handed.step("transfer_joined")
    await handed.hears(OURS, PERSONS)
    await handed.hears(QUEUE, CALLERS)
    assert [line["digit"] for line in carrier.leg(to=QUEUE) if line["event"] == "digit"] == ["1", "2"]
    assert handed.heard(QUEUE) == {CALLERS}
    await carrier.do("hang_up", leg=carrier.leg(to=QUEUE)[0]["leg"])
    await handed.gone(OURS, QUEUE)
    assert await house.ended(handed.call) == ("completed", "people_hung_up")


async def test_a_blind_one_is_put_through(carrier: Carrier, house: House, worker: Worker) -> None:
    handed = await Handed.comes(house, carrier, key="8")
    assert await house.ended(handed.call) == ("transferred", "put_through")
    moved = [(line["to"], line["status"]) for line in carrier.leg(to=OURS) if line["event"] == "transfer"]
    assert moved == [(BUSY, 486), (QUEUE, 200)]
    await handed.gone(OURS)


@pytest.mark.parametrize(("key", "step", "phone"), [("5", "dialing", RINGS), ("7", "briefed", SILENT)])
async def test_a_caller_who_hangs_up_meanwhile(
    carrier: Carrier, house: House, worker: Worker, key: str, step: str, phone: str
) -> None:
    handed = await Handed.comes(house, carrier, key=key)
    await handed.step(f"transfer_{step}")
    await handed.rings(phone)
    await carrier.do("hang_up", leg=carrier.leg(to=OURS)[0]["leg"])
    await handed.gone(phone)
    assert await house.ended(handed.call) == ("completed", "caller_hung_up")
    assert CALLERS not in handed.heard(phone)


@pytest.mark.parametrize(("key", "step", "phone"), [("5", "dialing", RINGS), ("7", "briefed", SILENT)])
async def test_a_worker_killed_before_the_join_takes_both_with_it(
    carrier: Carrier, house: House, worker: Worker, key: str, step: str, phone: str
) -> None:
    handed = await Handed.comes(house, carrier, key=key)
    await handed.step(f"transfer_{step}")
    await handed.rings(phone)
    await house.breaks(worker.kill)
    await handed.gone(OURS, phone)
    assert await house.ended(handed.call) == LOST
    assert handed.heard(phone) <= {BRIEFING}
    assert handed.heard(OURS) <= HOLD


async def test_a_worker_killed_after_the_join_leaves_the_two_talking(carrier: Carrier, house: House, worker: Worker) -> None:
    handed = await Handed.comes(house, carrier, key="6")
    await house.is_at(handed.call, "handed_over", seconds=30)
    await house.breaks(worker.kill)
    await handed.talks_on(OURS, QUEUE, seconds=20)
    await handed.hears(OURS, PERSONS)
    await carrier.do("hang_up", leg=carrier.leg(to=QUEUE)[0]["leg"])
    await handed.gone(OURS, QUEUE)
    assert await house.ended(handed.call) == ("completed", "people_hung_up")
