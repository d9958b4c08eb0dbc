"""A tenant that calls and is called while things break, and whether its ledger says what the carrier's log says."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from livekit import api

from agents.testing import make_agent
from calls.clock import database_now
from calls.models import Call, CallEvent, Leg, LineSlot, PhoneNumber, SipTrunk, Turn
from calls.services.commands import request_hang_up
from calls.services.outbound import place_outbound
from calls.telephony import mirroring
from calls.testing import make_number, make_trunk
from tenants.models import Tenant
from tests.livekit.platform import as_tenant, call_as, call_is, in_db, the_call
from tests.livekit.rig import Carrier, told, until
from voice_worker.simulation.carrier.log import Entry

OURS: Final = "+12025558002"
GONE_WITHIN_S: Final = 15.0
COMPLETED: Final = ("completed", "recipient_hung_up")
LOST: Final = ("failed", "worker_lost")
_SPEAKS: Final = {
    "opening": {"greeting": "Hello there, this is the practice speaking."},
    "machines": {"silence_after_answer_s": 1},
    "limits": {"silence_prompt_after_s": 3, "silence_prompts": 5},
}
_REFUSED: Final = {486: "busy", 480: "no_answer", 408: "no_answer", 603: "rejected", 404: "invalid_number"}


class House:
    """The tenant's number is on the server, and what the platform does beside its workers is done."""

    def __init__(self, owner: Tenant, lk: api.LiveKitAPI, carrier: Carrier) -> None:
        self.owner, self.lk, self.carrier = owner, lk, carrier
        self._broke: float | None = None
        self._heard: dict[UUID, list[str]] = {}

    async def build(self) -> None:
        def make() -> None:
            self.agent = make_agent(settings=_SPEAKS, tools={"end_call": {}, "press_digits": {}})
            make_number(phone=OURS, trunk=make_trunk(cps=20), agent=self.agent)

        await self.run(make)
        await in_db(mirroring.sync_all)

    async def pull_down(self) -> None:
        await self.run(lambda: SipTrunk.objects.update(retired_at=database_now()))
        await self.run(lambda: PhoneNumber.objects.update(released_at=database_now()))
        await in_db(mirroring.sync_all)

    async def run(self, step: Any, *args: Any, **kwargs: Any) -> Any:
        """A database step in the tenant's scope."""
        return await as_tenant(self.owner, step, *args, **kwargs)

    @transaction.atomic
    def place(self, to: str, *, ring_s: int = 20) -> Call:
        """In the tenant's scope."""
        call = place_outbound(to=to, agent=self.agent, kind="outbound", override_gates="a test at any hour")
        Call.objects.filter(pk=call.pk).update(ring_timeout_s=ring_s)
        return call

    async def dial(self, to: str, *, ring_s: int = 20) -> Call:
        call: Call = await self.run(self.place, to, ring_s=ring_s)
        return call

    async def comes(self) -> Call:
        """The call of whoever calls in."""
        return await the_call(self.owner)

    async def hang_up(self, call: Call) -> None:
        await self.run(lambda: request_hang_up(Call.objects.get(pk=call.pk)))

    async def is_at(self, call: Call, status: str, *, seconds: float = 20) -> Call:
        return await call_is(self.owner, call.pk, status, seconds=seconds)

    async def talks(self, call: Call) -> None:
        """Returns when somebody has answered and something was said; that is in the transcript to the end."""
        await self.is_at(call, "in_progress")
        self._heard[call.pk] = await until(lambda: self.said(call), seconds=15)

    async def breaks(self, how: Callable[[], Any]) -> None:
        """Do what breaks something; `adds_up` counts from here."""
        self._broke = time.monotonic()
        await told(how())

    async def lives(self, call: Call) -> None:
        assert (await call_as(self.owner, call.pk)).status == "in_progress"
        assert self.carrier.events(room=call.room)[-1] != "end"

    async def ended(self, call: Call, *, seconds: float = 25) -> tuple[str, str]:
        found = await self.is_at(call, "ended", seconds=seconds)
        return found.disposition, found.ended_reason

    async def finalized(self, call: Call) -> None:
        """Returns when its record is complete."""
        await until(lambda: self.run(lambda: Call.objects.get(pk=call.pk).finalized_at), seconds=15)

    async def said(self, call: Call) -> list[str]:
        found: list[str] = await self.run(lambda: list(Turn.objects.filter(call=call).values_list("text", flat=True)))
        return found

    async def kinds(self, call: Call) -> list[str]:
        found: list[str] = await self.run(
            lambda: list(CallEvent.objects.filter(call=call).order_by("at").values_list("kind", flat=True))
        )
        return found

    async def adds_up(self, rang: Mapping[UUID, int] | None = None) -> None:
        """Hold every call of the tenant to the carrier's log, once nothing is left of any. `rang`: how often, if not once."""
        deadline = time.monotonic() + GONE_WITHIN_S
        while left := await self._left():
            assert time.monotonic() < deadline, left
            await asyncio.sleep(0.2)
        await self.run(self._compare, rang or {})

    def _compare(self, rang: Mapping[UUID, int]) -> None:
        for call in Call.objects.prefetch_related("turns", "events"):
            legs = self._legs(call)
            assert len(legs) == rang.get(call.pk, 1), f"the carrier was asked {len(legs)} times for {call}"
            self._same(call, legs[0] if legs else [])
            kept = self._heard.get(call.pk, [])
            assert [turn.text for turn in call.turns.all()][: len(kept)] == kept

    def _same(self, call: Call, leg: list[Entry]) -> None:
        """The call's row and the carrier's lines."""
        assert call.disposition in _may_be(leg), f"{call.disposition}, {call.ended_reason}: {leg}"
        kinds = [event.kind for event in call.events.all()]
        assert (kinds.count("ended"), kinds.count("claimed") <= 1, kinds.count("dialing") <= 1) == (1, True, True), kinds
        answered = any(line["event"] == "answer" for line in leg)
        assert answered or call.answered_at is None
        assert call.answered_at or call.disposition != "completed"
        if self._broke and leg and leg[0]["mono"] < self._broke:
            assert leg[-1]["mono"] < self._broke + GONE_WITHIN_S

    async def _left(self) -> dict[str, Any]:
        """What is still there: calls, lines, legs, people in rooms."""

        def stored() -> tuple[list[str], dict[str, int]]:
            rows = {
                "calls": Call.objects.open(),
                "lines": LineSlot.objects.all(),
                "legs": Leg.objects.filter(ended_at=None).exclude(call__finalized_at=None),
            }
            return list(Call.objects.values_list("room", flat=True)), {name: found.count() for name, found in rows.items()}

        rooms, counts = await self.run(stored)
        people = [who for room in rooms for who in await self._people(room)]
        open_legs = [lines[-1] for lines in self.carrier.legs().values() if lines[-1]["event"] != "end"]
        found = {**counts, "people": people, "open at the carrier": open_legs}
        return {name: value for name, value in found.items() if value}

    async def _people(self, room: str) -> list[str]:
        """Who is in it; after the broker has lost its memory the server may go on listing rooms that are gone."""
        listed = await self.lk.room.list_rooms(api.ListRoomsRequest(names=[room]))
        if not listed.rooms:
            return []
        found = await self.lk.room.list_participants(api.ListParticipantsRequest(room=room))
        return [who.identity for who in found.participants]

    def _legs(self, call: Call) -> list[list[Entry]]:
        return [lines for lines in self.carrier.legs().values() if any(line.get("room") == call.room for line in lines)]


def _may_be(leg: list[Entry]) -> set[str]:
    """How a call may have ended of which the carrier says this."""
    if not leg:
        return {"failed", "blocked", "canceled"}
    end, answered = leg[-1], any(line["event"] == "answer" for line in leg)
    if end["status"]:
        return {_REFUSED.get(end["status"], "failed")}
    if end["by"] == "phone" and answered:
        return {"completed"}
    if end["reason"] == "ring_timeout":
        return {"no_answer", "unknown"}
    return {"failed", "canceled", "unknown"} | ({"completed"} if answered else set())
