"""A caller on the real server whose call is handed over: what each phone heard, by tones, and what became of everybody."""

import asyncio
import time
from typing import Any, Final

from calls.models import Call, CallEvent, Leg, LineSlot
from tests.livekit.house import OURS, House
from tests.livekit.rig import Carrier, until
from voice_worker.briefing import _NOTES_HZ
from voice_worker.simulation.carrier.log import Entry

CALLER: Final = "+12025550116"
CALLERS, PERSONS, BRIEFING = 41, 53, 30
REASON: Final = "They ask for a refund, at 700 Hz"
"""Spoken as the tone BRIEFING, wherever it is part of a sentence."""
HOLD: Final = {(hertz - 400) // 10 for hertz in _NOTES_HZ}
TONE: Final = {"kind": "tone", "token": PERSONS}
QUICK: Final = {"after_s": 0.2}
GONE_WITHIN_S: Final = 15.0


def presses(digits: str, *, after_s: float) -> dict[str, Any]:
    return {"then": {"kind": "presses", "digits": digits, "after_s": after_s, "then": TONE}, **QUICK}


class Handed:
    """One call that is handed over."""

    def __init__(self, house: House, carrier: Carrier, call: Call) -> None:
        self.house, self.carrier, self.call = house, carrier, call

    @classmethod
    async def comes(cls, house: House, carrier: Carrier, *, key: str) -> "Handed":
        """Somebody has called in, and pressed the key that hands them over."""
        await carrier.do("call", caller=CALLER, called=OURS, seconds=120)
        call = await house.comes()
        await house.is_at(call, "in_progress")
        handed = cls(house, carrier, call)
        await until(lambda: house.said(call), seconds=15)
        await carrier.do("press", leg=carrier.leg(to=OURS)[0]["leg"], digits=key)
        await handed.step("transfer_holding")
        return handed

    async def step(self, kind: str, *, seconds: float = 40) -> dict[str, Any]:
        """What is told of a step, once it is made."""

        def found() -> list[dict[str, Any]]:
            events = CallEvent.objects.filter(call=self.call, kind=kind).order_by("at")
            return list(events.values_list("data", flat=True))

        told = await until(lambda: self.house.run(found), seconds=seconds)
        last: dict[str, Any] = told[-1]
        return last

    async def steps(self) -> list[str]:
        kinds = [kind for kind in await self.house.kinds(self.call) if kind.startswith("transfer_")]
        return [kind.removeprefix("transfer_") for kind in kinds]

    async def returns(self, said: str, *, seconds: float = 60) -> None:
        """The agent has the caller again, and says what became of it."""
        try:
            await until(lambda: self._is_said(said), seconds=seconds)
        except AssertionError:
            raise AssertionError(f"{await self.house.said(self.call)}, {await self.steps()}") from None
        assert await self.house.run(lambda: LineSlot.objects.filter(call=self.call, role="target").count()) == 0

    async def _is_said(self, said: str) -> bool:
        return said in await self.house.said(self.call)

    async def legs(self) -> list[tuple[str, str, bool]]:
        """Role, end and whether it was answered, of all legs."""
        rows = await self.house.run(lambda: list(Leg.objects.filter(call=self.call).order_by("started_at")))
        return [(leg.role, leg.end_reason, leg.answered_at is not None) for leg in rows]

    async def rings(self, phone: str) -> None:
        """Returns when this call's colleague rings, or has."""
        await until(lambda: self.carrier.leg(to=phone)[0]["room"] == self.call.room if self.carrier.leg(to=phone) else False)
        await until(lambda: "ringing" in self.carrier.events(to=phone))

    async def hears(self, phone: str, token: int, *, seconds: float = 20) -> None:
        await until(lambda: token in [line["token"] for line in self.tones(phone)], seconds=seconds)

    def tones(self, phone: str) -> list[Entry]:
        return [line for line in self.carrier.leg(to=phone) if line["event"] == "tone" and line["way"] == "heard"]

    def heard(self, phone: str, *, until_mono: float = float("inf")) -> set[int]:
        return {line["token"] for line in self.tones(phone) if line["mono"] < until_mono}

    def pressed_at(self, phone: str) -> float:
        return float(next(line["mono"] for line in self.carrier.leg(to=phone) if line["event"] == "digit"))

    def is_over(self, phone: str) -> bool:
        return self.carrier.events(to=phone)[-1:] == ["end"]

    async def gone(self, *phones: str) -> None:
        """Returns when their phones have been hung up."""
        began = time.monotonic()
        await until(lambda: all(map(self.is_over, phones)), seconds=GONE_WITHIN_S)
        assert time.monotonic() - began < GONE_WITHIN_S

    async def talks_on(self, *phones: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        assert not [phone for phone in phones if self.is_over(phone)]
