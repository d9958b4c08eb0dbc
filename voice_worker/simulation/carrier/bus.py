"""psrpc over the broker's publish and subscribe: requests of a LiveKit server to us, and ours to it."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import redis.asyncio
import structlog
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from livekit.protocol import sip
from redis.exceptions import RedisError

from voice_worker.simulation.carrier import messages

logger = structlog.get_logger(__name__)

CLAIM_S: Final = 5.0
CALL_S: Final = 5.0
_AGAIN_S: Final = 0.2

Listener = Callable[[bytes], Awaitable[None]]


class RpcError(Exception):
    """What goes back to the server instead of an answer. `status` 0: no SIP answer was ever received."""

    def __init__(self, code: str, text: str, *, status: int = 0) -> None:
        super().__init__(f"{status} {text}" if status else text)
        self.code, self.text, self.status = code, text, status


class NoReplyError(Exception):
    """The request stays without an answer for ever."""


class UnclaimedError(Exception):
    """The server does not answer us: none runs, or it has no service for our request."""


class Bus:
    """One connection that reads and one that writes; subscriptions survive restarts of the broker."""

    def __init__(self, url: str) -> None:
        self._redis = redis.asyncio.from_url(url)
        self._pubsub: Any = None
        self._channels: dict[str, Listener] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ready = asyncio.Event()

    async def start(self) -> None:
        """Returns once the broker has accepted the subscriptions made so far."""
        self.spawn(self._read())
        await self._ready.wait()

    async def aclose(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._redis.aclose()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that is kept, and whose failure is told."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def listen(self, channel: str, listener: Listener) -> None:
        self._channels[channel] = listener
        if self._ready.is_set():
            with contextlib.suppress(RedisError, OSError):  # else the next connection subscribes
                await self._pubsub.subscribe(channel)

    async def forget(self, *channels: str) -> None:
        for channel in channels:
            self._channels.pop(channel, None)
        if self._ready.is_set():
            with contextlib.suppress(RedisError, OSError):
                await self._pubsub.unsubscribe(*channels)

    async def publish(self, channel: str, data: bytes) -> int:
        """How many listened."""
        return int(await self._redis.publish(channel, data))

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a task of the carrier failed", exc_info=error)

    async def _read(self) -> None:
        while True:
            try:
                await self._read_connection()
            except (RedisError, OSError) as error:
                self._ready.clear()
                logger.warning("the broker is away", error=str(error))
                await asyncio.sleep(_AGAIN_S)

    async def _read_connection(self) -> None:
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(*self._channels)
            self._pubsub = pubsub
            async for message in pubsub.listen():
                if message["type"] == "subscribe":
                    self._ready.set()
                elif message["type"] == "message" and (listener := self._channels.get(message["channel"].decode())):
                    self.spawn(_heard(listener, message["data"]))


async def _heard(listener: Listener, data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        await listener(data)


class Service:
    """Our methods, as the server calls them."""

    def __init__(self, bus: Bus, name: str) -> None:
        self._bus, self._name = bus, name
        self._id = f"SRV_{uuid.uuid4().hex[:12]}"
        self._claims: dict[str, asyncio.Future[bool]] = {}

    async def offer(
        self, method: str, request: str, work: Callable[[Any], Awaitable[Message]], *, topic: str = "", wants: Any = None
    ) -> None:
        """Answers `method` (on `topic`) with what `work` returns; it may raise RpcError or NoReplyError.

        `wants` may turn a request down beforehand, as if nobody were there.
        """

        async def on_request(data: bytes) -> None:
            envelope = messages.unpack("Request", data)
            asked = messages.parse(request, envelope.raw_request)
            if (wants is None or wants(asked)) and await self._won(envelope):
                await self._answer(envelope, work(asked))

        async def on_claim(data: bytes) -> None:
            claim = messages.unpack("ClaimResponse", data)
            if (waiting := self._claims.get(claim.request_id)) and not waiting.done():
                waiting.set_result(claim.server_id == self._id)

        for suffix, listener in (("RCLAIM", on_claim), ("REQ", on_request)):
            await self._bus.listen(_channel(self._name, method, topic, suffix), listener)

    async def withdraw(self, method: str, *, topic: str) -> None:
        await self._bus.forget(*(_channel(self._name, method, topic, suffix) for suffix in ("RCLAIM", "REQ")))

    async def _won(self, envelope: Any) -> bool:
        waiting = self._claims[envelope.request_id] = asyncio.get_running_loop().create_future()
        try:
            claim = messages.pack("ClaimRequest", request_id=envelope.request_id, server_id=self._id, affinity=1.0)
            await self._bus.publish(_channel(self._name, envelope.client_id, "CLAIM"), claim)
            return await asyncio.wait_for(waiting, CLAIM_S)
        except TimeoutError:
            return False
        finally:
            del self._claims[envelope.request_id]

    async def _answer(self, envelope: Any, work: Awaitable[Message]) -> None:
        reply: dict[str, Any] = {"request_id": envelope.request_id, "server_id": self._id}
        try:
            reply["raw_response"] = (await work).SerializeToString()
        except NoReplyError:
            return
        except RpcError as error:
            reply |= _refusal(error)
        await self._bus.publish(
            _channel(self._name, envelope.client_id, "RES"), messages.pack("Response", sent_at=time.time_ns(), **reply)
        )


class Client:
    """The server's methods, as we call them."""

    def __init__(self, bus: Bus, service: str) -> None:
        self._bus, self._service = bus, service
        self._id = f"CLI_{uuid.uuid4().hex[:12]}"
        self._waiting: dict[str, tuple[asyncio.Future[str], asyncio.Future[Any]]] = {}

    async def start(self) -> None:
        await self._bus.listen(_channel(self._service, self._id, "CLAIM"), self._on_claim)
        await self._bus.listen(_channel(self._service, self._id, "RES"), self._on_response)

    async def call(self, method: str, request: Message, answer: str) -> Any:
        """Raises RpcError when the server refuses, UnclaimedError when none answers."""
        loop, number, now = asyncio.get_running_loop(), f"REQ_{uuid.uuid4().hex[:12]}", time.time_ns()
        claim, response = self._waiting[number] = (loop.create_future(), loop.create_future())
        data = messages.pack(
            "Request",
            request_id=number,
            client_id=self._id,
            sent_at=now,
            expiry=now + int(CALL_S * 1e9),
            raw_request=request.SerializeToString(),
        )
        try:
            async with asyncio.timeout(CALL_S):
                await self._bus.publish(_channel(self._service, method, "REQ"), data)
                server = await claim
                won = messages.pack("ClaimResponse", request_id=number, server_id=server)
                await self._bus.publish(_channel(self._service, method, "RCLAIM"), won)
                reply = await response
        except TimeoutError as error:
            raise UnclaimedError(f"No LiveKit server answers {method}.") from error
        finally:
            del self._waiting[number]
        if reply.error:
            raise RpcError(reply.code, reply.error)
        return messages.parse(answer, reply.raw_response)

    async def _on_claim(self, data: bytes) -> None:
        claim = messages.unpack("ClaimRequest", data)
        if (waiting := self._waiting.get(claim.request_id)) and not waiting[0].done():
            waiting[0].set_result(claim.server_id)

    async def _on_response(self, data: bytes) -> None:
        response = messages.unpack("Response", data)
        if (waiting := self._waiting.get(response.request_id)) and not waiting[1].done():
            waiting[1].set_result(response)


def _refusal(error: RpcError) -> dict[str, Any]:
    if not error.status:
        return {"error": error.text, "code": error.code}
    detail = any_pb2.Any()
    detail.Pack(sip.SIPStatus(code=error.status, status=error.text))  # type: ignore[arg-type]
    return {
        "error": f"sip status: {error.status}: {error.text}",
        "code": error.code,
        "error_details": [{"type_url": detail.type_url, "value": detail.value}],
    }


def _channel(*parts: str) -> str:
    return "|".join("".join(_escaped(letter) for letter in part) for part in parts if part)


def _escaped(letter: str) -> str:
    if letter == "_" or (letter.isascii() and letter.isalnum()):
        return letter
    number = ord(letter)
    return f"u+{number:04x}" if number <= 0xFFFF else f"U+{number:08x}"
