"""The command line's way to a running carrier: a request and its answer as JSON over the broker."""

import asyncio
import contextlib
import json
import uuid
from typing import Any, Final

import redis.asyncio
from google.protobuf.message import DecodeError
from livekit.rtc import ConnectError

from voice_worker.simulation.carrier.book import BookError, parse_actor
from voice_worker.simulation.carrier.exchange import CallFailedError, Exchange
from voice_worker.simulation.carrier.legs import Leg

_CHANNEL: Final = "SimulatedCarrier|control"
_AT_ONCE: Final = 8
"""Legs that join at the same time; joining costs far more than being there."""


class ControlError(Exception):
    """The text says what is wrong and what to do."""


async def request(redis_url: str, action: str, *, timeout_s: float = 240.0, **arguments: Any) -> Any:
    """What the carrier answers. Raises ControlError."""
    number = uuid.uuid4().hex
    async with redis.asyncio.from_url(redis_url) as client, client.pubsub() as replies:
        await replies.subscribe(_reply_channel(number))
        if not await client.publish(_CHANNEL, json.dumps({"id": number, "action": action, **arguments})):
            raise ControlError("No simulated carrier runs on this broker. Start one: manage.py run_simulated_carrier")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                async for message in replies.listen():
                    if message["type"] == "message":
                        return _result(json.loads(message["data"]))
    raise ControlError(f"The carrier did not answer {action} within {timeout_s:g} s.")


def _result(reply: dict[str, Any]) -> Any:
    if error := reply.get("error"):
        raise ControlError(error)
    return reply["result"]


class Control:
    """Does what is asked of a running carrier."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._actions: dict[str, Any] = {"call": self._call, "hang_up": self._hang_up, "press": self._press, "legs": self._legs}

    async def start(self) -> None:
        await self._exchange.bus.listen(_CHANNEL, self._on_request)

    async def _on_request(self, data: bytes) -> None:
        asked = json.loads(data)
        number, action = asked.pop("id"), asked.pop("action")
        try:
            reply = {"result": await self._actions[action](**asked)}
        except (ControlError, BookError) as error:
            reply = {"error": str(error)}
        await self._exchange.bus.publish(_reply_channel(number), json.dumps(reply).encode())

    async def _call(
        self,
        *,
        caller: str,
        called: str,
        count: int = 1,
        actor: str = "",
        patience_s: float = 180.0,
        seconds: float | None = None,
    ) -> list[dict[str, str]]:
        who, gate = parse_actor(actor) if actor else None, asyncio.Semaphore(_AT_ONCE)

        async def one() -> dict[str, str]:
            async with gate:
                try:
                    leg = await self._exchange.call_in(
                        caller=caller, called=called, actor=who, patience_s=patience_s, hangs_up_after_s=seconds
                    )
                except (CallFailedError, ConnectError, DecodeError) as error:
                    return {"leg": "", "result": str(error)}
                return {"leg": leg.id, "room": leg.room.name, "result": "answered"}

        return list(await asyncio.gather(*(one() for _ in range(count))))

    async def _hang_up(self, *, leg: str = "") -> int:
        """One leg, or all of them."""
        legs = [self._find(leg)] if leg else list(self._exchange.legs.values())
        await asyncio.gather(*(leg.end("phone", "hung_up") for leg in legs))
        return len(legs)

    async def _press(self, *, leg: str, digits: str) -> int:
        await self._find(leg).press(digits)
        return len(digits)

    async def _legs(self) -> list[dict[str, str]]:
        return [
            {"leg": leg.id, "room": leg.room.name, "result": "answered" if leg.answered else "ringing"}
            for leg in self._exchange.legs.values()
        ]

    def _find(self, leg_id: str) -> Leg:
        if leg := self._exchange.legs.get(leg_id):
            return leg
        raise ControlError(f"There is no leg {leg_id} (any more).")


def _reply_channel(number: str) -> str:
    return f"SimulatedCarrier|reply|{number}"
