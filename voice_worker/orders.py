"""What comes from outside while the call runs: actions, messages, and features switched on or off."""

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import redis.asyncio
import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from calls.errors import CallsError
from calls.models import CallCommand
from calls.services.commands import take_commands
from calls.wakeups import COMMANDS
from voice_worker.database import in_database
from voice_worker.snapshot import Features, live_features

logger = structlog.get_logger(__name__)

POLL_S: Final = 4.0
_POLL_TIMEOUT_S: Final = 3.0
_RECONNECT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Order:
    """An action or a message, as the command it came as."""

    command_id: UUID
    kind: str
    text: str = ""
    options: Mapping[str, Any] | None = None
    reason: str = ""

    @property
    def is_message(self) -> bool:
        return self.kind == CallCommand.Kind.MESSAGE

    @property
    def is_hang_up(self) -> bool:
        return self.kind == CallCommand.Kind.HANG_UP

    def option(self, name: str) -> Any:
        return (self.options or {}).get(name)

    def ended(self, *, failed: str = "", **data: Any) -> Mapping[str, Any]:
        """The journal entry that says what became of it; `failed` is why it did not succeed."""
        outcome = "failed" if failed else "done"
        at = datetime.now(UTC).isoformat()
        return {"op": "action", "command_id": str(self.command_id), "outcome": outcome, "reason": failed, "at": at, "data": data}


class Orders:
    """Looks for them when Redis says so, and every few seconds in any case."""

    def __init__(self, call_id: UUID, *, features: Features) -> None:
        self.features = features
        self._call_id = call_id
        self._woken = asyncio.Event()

    async def run(self, heed: Callable[[Order], None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._poll(heed))

    async def _poll(self, heed: Callable[[Order], None]) -> None:
        # What was ordered before the call began waits already.
        self._woken.set()
        # On another thread nothing is known of the job around us, and what is ordered may need it.
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()

        def hand_on(order: Order) -> None:
            loop.call_soon_threadsafe(heed, order, context=context)

        look = partial(self._look, hand_on)
        while True:
            # asyncio.wait_for would lose a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._woken.wait()
            self._woken.clear()
            try:
                self.features = await in_database(look, timeout_s=_POLL_TIMEOUT_S)
            except (DatabaseError, CallsError, TimeoutError) as error:
                logger.warning("no news for the call", error=f"{type(error).__name__}: {error}")

    def _look(self, hand_on: Callable[[Order], object]) -> Features:
        """What was taken is heeded also when nobody waits for the answer any more: it is given out once."""
        for command in take_commands(self._call_id):
            hand_on(_order(command))
        return live_features(self._call_id)

    async def _listen(self) -> None:
        """Redis saves up to one poll of waiting; without it the poll does."""
        while True:
            try:
                async with redis.asyncio.from_url(settings.REDIS_URL) as client, client.pubsub() as channel:
                    await channel.subscribe(COMMANDS)
                    async for message in channel.listen():
                        if message["type"] == "message" and message["data"].decode() == str(self._call_id):
                            self._woken.set()
            except (RedisError, OSError):
                await asyncio.sleep(_RECONNECT_S)


def _order(command: CallCommand) -> Order:
    return Order(
        command_id=command.pk, kind=command.kind, text=command.text, options=dict(command.options), reason=command.reason
    )
