"""What keeps a call from going on for ever: silence, length, a model that never answers, and orders from outside."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

import redis.asyncio
import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from livekit.agents import AgentSession
from redis.exceptions import RedisError

from agents.pipeline import Limits
from calls.errors import CallsError
from calls.models import CallCommand
from calls.services.commands import take_commands
from calls.wakeups import COMMANDS
from voice_worker.audio import CallClock
from voice_worker.database import in_database
from voice_worker.snapshot import Features, live_features

logger = structlog.get_logger(__name__)

POLL_S: Final = 4.0
_STEP_S: Final = 0.25
_POLL_TIMEOUT_S: Final = 3.0
_RECONNECT_S: Final = 5.0


class Silence:
    """Asks whether the caller is there, as often as the limits say, then gives up."""

    def __init__(self, session: AgentSession, *, limits: Limits, is_busy: Callable[[], bool]) -> None:
        """`is_busy` says that something is going on which neither speaks nor listens."""
        self._session = session
        self._limits = limits
        self._is_busy = is_busy
        self._asked = 0
        self._quiet_s = 0.0

    def caller_spoke(self) -> None:
        self._asked, self._quiet_s = 0, 0.0

    async def run(self, *, ask: Callable[[], None], give_up: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(_STEP_S)
            self._quiet_s = self._quiet_s + _STEP_S if self._nobody_acts() else 0.0
            if self._quiet_s < self._limits.silence_prompt_after_s:
                continue
            self._quiet_s = 0.0
            if self._asked >= self._limits.silence_prompts:
                give_up()
                return
            self._asked += 1
            ask()

    def _nobody_acts(self) -> bool:
        session = self._session
        return session.user_state != "speaking" and session.agent_state not in ("speaking", "thinking") and not self._is_busy()


async def limit_duration(
    clock: CallClock, *, longest_s: float, warning_s: float, warn: Callable[[], None], end: Callable[[], None]
) -> None:
    if warning_s:
        await asyncio.sleep(max(0.0, longest_s - warning_s - clock.now()))
        warn()
    await asyncio.sleep(max(0.0, longest_s - clock.now()))
    end()


async def watch_thinking(session: AgentSession, *, longest_s: float, stuck: Callable[[], None]) -> None:
    """A model that neither answers nor fails."""
    thought_s = 0.0
    while thought_s < longest_s:
        await asyncio.sleep(_STEP_S)
        thought_s = thought_s + _STEP_S if session.agent_state == "thinking" else 0.0
    stuck()


@dataclass(frozen=True, slots=True)
class Written:
    """A message of a chat, and the command it came as."""

    command_id: UUID
    text: str


class Orders:
    """What comes from outside while the call runs: hang-ups, messages, and features switched on or off."""

    def __init__(self, call_id: UUID, *, features: Features) -> None:
        self.features = features
        self._call_id = call_id
        self._woken = asyncio.Event()

    async def run(self, *, hang_up: Callable[[str], None], read: Callable[[Written], None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._poll(hang_up, read))

    async def _poll(self, hang_up: Callable[[str], None], read: Callable[[Written], None]) -> None:
        def heed(command: CallCommand) -> None:
            if command.kind == command.Kind.HANG_UP:
                hang_up(command.reason)
            else:
                read(Written(command_id=command.pk, text=command.text))

        # What was ordered before the call began waits already.
        self._woken.set()
        look = partial(self._look, asyncio.get_running_loop(), heed)
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

    def _look(self, loop: asyncio.AbstractEventLoop, heed: Callable[[CallCommand], None]) -> Features:
        """What was taken is heeded also when nobody waits for the answer any more: it is given out once."""
        for command in take_commands(self._call_id):
            loop.call_soon_threadsafe(heed, command)
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
