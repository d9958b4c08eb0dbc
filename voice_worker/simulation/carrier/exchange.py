"""The carrier at work: dials for the server, calls in from outside, and puts legs through."""

import asyncio
import contextlib
import logging
import math
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import Message
from livekit import api, rtc
from livekit.rtc.participant import PublishTrackError

from voice_worker.simulation.carrier import messages
from voice_worker.simulation.carrier.actors import Stage, act
from voice_worker.simulation.carrier.answers import RING_S, gave_up, leaves_as, refusal
from voice_worker.simulation.carrier.book import Actor, Entry, PhoneBook, Silence
from voice_worker.simulation.carrier.bus import Bus, Client, NoReplyError, RpcError, Service, UnclaimedError
from voice_worker.simulation.carrier.legs import By, Leg, Seat, Server
from voice_worker.simulation.carrier.limits import Gate
from voice_worker.simulation.carrier.log import CarrierLog
from voice_worker.simulation.carrier.takes import Take

logger = logging.getLogger(__name__)

_TRANSFER: Final = "TransferSIPParticipant"
_BEFORE_RINGING_S: Final = 0.1
_BYE_AFTER_S: Final = 0.2
_ACCEPT: Final = 1
_JOINS_AT_ONCE: Final = 8
"""Of many more on a busy machine each would come too late."""
_RESULTS: Final[Mapping[int, str]] = {0: "not_routed", 2: "pin_wanted", 3: "rejected", 4: "not_routed"}
_STATUS: Final = "sip.callStatus"
_NOWHERE: Final = ".invalid"
"""No name that ends so leads anywhere; a trunk with such an address asks nobody to ring."""


class CallFailedError(Exception):
    """A call from outside was not answered; the text is the reason its leg ended with."""


class Exchange:
    """Everything needs a running event loop; `start` returns when the server can reach us."""

    def __init__(
        self, *, redis_url: str, server: Server, book: PhoneBook, log: CarrierLog, stage: Stage, takes: Path | None = None
    ) -> None:
        """`takes`: the folder for what every phone says and hears."""
        self.bus, self.legs = Bus(redis_url), dict[str, Leg]()
        self._takes, self._storing = takes, set[asyncio.Task[None]]()
        self._server, self._book, self._log, self._stage = server, book, log, stage
        self._gate, self._joining = Gate(book.limits), asyncio.Semaphore(_JOINS_AT_ONCE)
        self._calls = Service(self.bus, "SIPInternal")
        self._io = Client(self.bus, "IOInfo")

    async def start(self) -> None:
        await self._io.start()
        await self._calls.offer("CreateSIPParticipant", "Create", self._dial, wants=self._is_taken)
        await self.bus.start()

    async def aclose(self) -> None:
        """Hangs up everything that is still up."""
        await asyncio.gather(*(leg.end("carrier", "carrier_stopped") for leg in tuple(self.legs.values())))
        await asyncio.gather(*self._storing, return_exceptions=True)
        await self.bus.aclose()
        await self._stage.aclose()

    async def call_in(
        self,
        *,
        caller: str,
        called: str,
        actor: Actor | None = None,
        patience_s: float = RING_S,
        hangs_up_after_s: float | None = None,
    ) -> Leg:
        """A call from outside, through the server's trunks and dispatch rules; returns when it is answered.

        Who speaks is the caller's entry in the phone book, unless `actor` says. Raises CallFailedError.
        """
        entry = self._book.entry(caller)
        actor = actor or entry.then
        leg = self._new_leg(f"SCL_{uuid.uuid4().hex[:12]}")
        self._log.write(
            "invite", leg=leg.id, direction="inbound", **{"from": caller, "to": called}, room="", trunk="", identity=""
        )
        try:
            route = await self._route(leg, caller=caller, called=called)
            await self._ring_in(leg, route, actor, patience_s=patience_s)
        except (UnclaimedError, RpcError) as error:
            await leg.end("carrier", "not_routed", text=str(error))
        except (rtc.ConnectError, PublishTrackError) as error:
            await leg.end("carrier", "no_room", text=str(error))
        if leg.over.is_set():
            raise CallFailedError(leg.reason)
        await leg.answer()
        self.bus.spawn(self._live(leg, actor, hangs_up_after_s=hangs_up_after_s or entry.hangs_up_after_s))
        return leg

    def _is_taken(self, asked: Any) -> bool:
        return self._book.entry(asked.call_to).reply != "unclaimed"

    def _new_leg(self, call_id: str) -> Leg:
        leg = self.legs[call_id] = Leg(call_id, log=self._log, spawn=self.bus.spawn)
        leg.on_ending.append(lambda: self._forget(leg))
        return leg

    def _forget(self, leg: Leg) -> None:
        self.legs.pop(leg.id, None)
        self._gate.free(leg.id)
        self.bus.spawn(self._calls.withdraw(_TRANSFER, topic=leg.id))

    async def _take_seat(self, leg: Leg, seat: Seat, actor: Actor) -> None:
        async with self._joining:
            await leg.join(self._server, seat, thin=isinstance(actor, Silence) and actor.thin)
        await self._calls.offer(_TRANSFER, "Transfer", lambda asked: self._transfer(leg, asked), topic=leg.id)

    # --- outbound ---

    async def _dial(self, asked: Any) -> Message:
        host = asked.address.partition(":")[0]
        if host.endswith(_NOWHERE):
            raise RpcError("invalid_argument", f"lookup {host}: no such host")
        entry, leg = self._book.entry(asked.call_to), self._new_leg(asked.sip_call_id)
        seat = Seat(
            room=asked.room_name,
            identity=asked.participant_identity,
            name=asked.participant_name,
            metadata=asked.participant_metadata,
            attributes={**asked.participant_attributes, _STATUS: "dialing"},
        )
        try:
            await self._take_seat(leg, seat, entry.then)
        except (rtc.ConnectError, PublishTrackError) as error:
            await leg.end("carrier", "no_room", text=str(error))
            raise RpcError("internal", f"the room cannot be joined: {error}") from error
        created: Message = messages.make(
            "Created", participant_id=leg.room.local_participant.sid, participant_identity=seat.identity, sip_call_id=leg.id
        )
        ringing = self.bus.spawn(self._ring_out(leg, entry, asked))
        if asked.wait_until_answered:
            await self._reply(entry, ringing)
        return created

    async def _reply(self, entry: Entry, ringing: asyncio.Task[RpcError | None]) -> None:
        error = await ringing
        await asyncio.sleep(entry.reply_after_s)
        if entry.reply == "never":
            raise NoReplyError
        if error:
            raise error

    async def _ring_out(self, leg: Leg, entry: Entry, asked: Any) -> RpcError | None:
        """From the INVITE to its final answer; what went wrong, if anything did."""
        parties = {"from": asked.number, "to": asked.call_to}
        leg.write(
            "invite",
            direction="outbound",
            **parties,
            room=asked.room_name,
            trunk=asked.sip_trunk_id,
            identity=asked.participant_identity,
            asked=leg.asked,
        )
        by: By = "carrier"
        try:
            self._gate.take(leg.id)
            by = "phone"
            await self._decide(leg, entry, ring_s=_seconds(asked.ringing_timeout) or RING_S)
        except RpcError as error:
            told = (by, "refused") if error.status else ("carrier", "ring_timeout")
            await leg.end(*told, status=error.status, text=error.text, leaves_as=leaves_as(error.status))
            return error
        await leg.answer(dtmf=asked.dtmf)
        longest = _seconds(asked.max_call_duration) or math.inf
        self.bus.spawn(self._live(leg, entry.then, hangs_up_after_s=entry.hangs_up_after_s, longest_s=longest))
        return None

    async def _decide(self, leg: Leg, entry: Entry, *, ring_s: float) -> None:
        """Returns when the phone is taken. Raises RpcError when it is not."""
        if entry.outcome == "at_cancel":
            # The answer crosses our CANCEL on the wire.
            leg.on_ending.insert(0, lambda: leg.write("answer"))
        if entry.rings:
            await asyncio.sleep(min(_BEFORE_RINGING_S, entry.after_s))
            await leg.ring()
        decides_s = entry.after_s if entry.outcome in {"answer", "refuse"} else math.inf
        longest_s = math.inf if entry.rings_on else ring_s
        if await _happens(leg.over, within_s=min(decides_s, longest_s)) or decides_s > longest_s:
            raise gave_up("sip request timed out")
        if entry.outcome == "refuse":
            raise refusal(entry.status, entry.text)

    async def _live(self, leg: Leg, actor: Actor, *, hangs_up_after_s: float | None, longest_s: float = math.inf) -> None:
        if self._takes:
            self._record(leg, self._takes / f"{leg.id}.wav")
        acting = self.bus.spawn(act(actor, leg, self._stage))
        until = math.inf if hangs_up_after_s is None else hangs_up_after_s
        try:
            if not await _happens(leg.over, within_s=min(until, longest_s)):
                await (leg.end("phone", "hung_up") if until <= longest_s else leg.end("carrier", "max_duration"))
        finally:
            acting.cancel()

    def _record(self, leg: Leg, path: Path) -> None:
        take = Take(path)
        leg.on_said.append(take.say)
        leg.listen(take.ear)

        def keep() -> None:
            storing = asyncio.create_task(asyncio.to_thread(take.store))
            self._storing.add(storing)
            storing.add_done_callback(self._stored)

        leg.on_ending.append(keep)

    def _stored(self, storing: asyncio.Task[None]) -> None:
        self._storing.discard(storing)
        if error := storing.exception():
            logger.warning("what a phone said and heard was not kept: %s", error)

    async def _transfer(self, leg: Leg, asked: Any) -> Message:
        number = re.split("[@;]", re.sub("^(tel|sips?):", "", asked.transfer_to))[0]
        entry = self._book.entry(number)
        patience = _seconds(asked.ringing_timeout) or RING_S
        decides_s = entry.after_s if entry.outcome in {"answer", "refuse"} else math.inf
        status, text = (entry.status, entry.text) if entry.outcome == "refuse" else (200, "OK")
        if await _happens(leg.over, within_s=min(decides_s, patience)):
            raise gave_up("the call has ended")
        if decides_s > patience:
            status, text = 408, ""
        leg.write("transfer", to=number, status=status)
        if status != 200:
            raise refusal(status, text)
        self.bus.spawn(self._say_bye(leg))
        done: Message = messages.make("Empty")
        return done

    async def _say_bye(self, leg: Leg) -> None:
        await asyncio.sleep(_BYE_AFTER_S)
        await leg.end("phone", "transferred")

    # --- inbound ---

    async def _route(self, leg: Leg, *, caller: str, called: str) -> Any:
        us = {"user": called, "host": "sip.example.com"}
        call = messages.make("SipCall", lk_call_id=leg.id, source_ip="127.0.0.1", sip_call_id=uuid.uuid4().hex, address=us, to=us)
        getattr(call, "from").user, getattr(call, "from").host = caller, "carrier.example.com"
        trunk = await self._io.call("GetSIPTrunkAuthentication", messages.make("Authenticate", call=call), "Authenticated")
        request = messages.make("Evaluate", sip_trunk_id=trunk.sip_trunk_id, call=call)
        route = await self._io.call("EvaluateSIPDispatchRules", request, "Evaluated")
        if trunk.drop or route.result != _ACCEPT:
            raise RpcError("not_found", _RESULTS.get(route.result, "not_routed"))
        return route

    async def _ring_in(self, leg: Leg, route: Any, actor: Actor, *, patience_s: float) -> None:
        config = route.room_config.SerializeToString()  # the real message: unknown fields survive parsing
        seat = Seat(
            room=route.room_name,
            identity=route.participant_identity,
            name=route.participant_name,
            metadata=route.participant_metadata,
            attributes={**route.participant_attributes, _STATUS: "ringing"},
            room_config=api.RoomConfiguration.FromString(config) if config else None,
        )
        await self._take_seat(leg, seat, actor)
        leg.write("ringing", room=seat.room, trunk=route.sip_trunk_id, rule=route.sip_dispatch_rule_id, identity=seat.identity)
        longest = _seconds(route.ringing_timeout) or RING_S
        over = asyncio.create_task(leg.over.wait())
        heard = asyncio.create_task(leg.heard_somebody.wait())
        await asyncio.wait({over, heard}, timeout=min(longest, patience_s), return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        heard.cancel()
        if not leg.heard_somebody.is_set():
            await (leg.end("phone", "gave_up") if patience_s < longest else leg.end("carrier", "ring_timeout"))


def _seconds(duration: Any) -> float:
    return float(duration.seconds + duration.nanos / 1e9)


async def _happens(event: asyncio.Event, *, within_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None if within_s == math.inf else within_s):
            return await event.wait()
    return False
