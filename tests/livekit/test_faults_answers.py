"""Carriers that tell us late, or never, what became of a dial."""

import re

import pytest

from calls.errors import GateRefusedError
from calls.models import Leg, SipTrunk
from calls.services import trunks
from calls.telephony import mirroring
from tests.livekit.house import COMPLETED, House
from tests.livekit.platform import Worker, in_db
from tests.livekit.rig import Carrier

QUICK = {"after_s": 0.2}
UNTOLD, LATE, TOLD_LATE, SILENT, PATIENT, RINGS, HANGS_UP = (f"+1202555010{n}" for n in range(1, 8))
BOOK = {
    "numbers": {
        UNTOLD: {"reply": "never", "hangs_up_after_s": 4, **QUICK},
        TOLD_LATE: {"reply_after_s": 4, "hangs_up_after_s": 6, **QUICK},
        LATE: {"outcome": "at_cancel"},
        SILENT: {"outcome": "rings_out", "reply": "never"},
        PATIENT: {"after_s": 40, "rings_on": True},
        RINGS: {"outcome": "rings_out"},
        HANGS_UP: {"hangs_up_after_s": 0.3, **QUICK},
    }
}


@pytest.mark.parametrize("phone", [UNTOLD, TOLD_LATE], ids=["never", "late"])
async def test_somebody_answers_and_the_carrier_does_not_say_so(house: House, worker: Worker, phone: str):
    call = await house.dial(phone, ring_s=2)
    assert await house.ended(call) == COMPLETED
    await house.adds_up()


async def test_an_answer_at_the_moment_we_give_up(house: House, worker: Worker):
    call = await house.dial(LATE, ring_s=2)
    assert (await house.ended(call, seconds=30))[0] in {"no_answer", "unknown"}
    await house.adds_up()


@pytest.mark.parametrize("phone", [SILENT, PATIENT], ids=["rang out", "rings on"])
async def test_nobody_ever_says_what_became_of_a_dial(house: House, worker: Worker, phone: str):
    call = await house.dial(phone, ring_s=2)
    assert await house.ended(call, seconds=30) == ("unknown", "no_response")
    await house.adds_up()
    with pytest.raises(GateRefusedError, match="may still ring"):
        await house.dial(phone)


async def test_a_trunk_whose_address_leads_nowhere(house: House, worker: Worker):
    async def give(address: str) -> None:
        await house.run(lambda: trunks.change_trunk(trunk=SipTrunk.objects.get(), address=address))
        await in_db(mirroring.sync_all)

    await give("sip.exmaple.invalid")
    call = await house.dial(HANGS_UP)
    assert await house.ended(call) == ("failed", "trunk_address")
    trunk = await house.run(SipTrunk.objects.get)
    assert re.search(r"address cannot be used .*sip.exmaple.invalid.* Correct it, then resume", trunk.stopped_reason)
    await give("sip.example.com")
    await house.run(lambda: trunks.resume_trunk(trunk=trunk))
    assert await house.ended(await house.dial(HANGS_UP)) == COMPLETED
    await house.adds_up(rang={call.pk: 0})


async def test_a_phone_is_no_longer_rung_once_the_call_is_canceled(carrier: Carrier, house: House, worker: Worker):
    call = await house.dial(RINGS)
    await house.is_at(call, "ringing")
    await house.hang_up(call)
    assert await house.ended(call, seconds=8) == ("canceled", "canceled_by_user")
    await house.adds_up()
    assert await house.run(lambda: Leg.objects.get(call=call).answered_at) is None
