"""One conversation, spoken or written, from the first word to its end."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from livekit import rtc
from livekit.agents import (
    NOT_GIVEN,
    Agent,
    AgentSession,
    CloseEvent,
    CloseReason,
    ConversationItemAddedEvent,
    ErrorEvent,
    NotGivenOr,
    llm,
)
from livekit.agents.voice import SpeechHandle

from agents.pipeline import VersionSettings
from agents.transfers import Target, TransferPolicy
from voice_worker import outcome
from voice_worker.audio import CallClock
from voice_worker.control import Control, settled
from voice_worker.floor import Floor
from voice_worker.handing import HandOver, Tried
from voice_worker.instructions import with_orders
from voice_worker.keeping import Keeping
from voice_worker.keys import NoKeysError, shown
from voice_worker.line import NotPutThroughError
from voice_worker.orders import Order, Orders
from voice_worker.outcome import Outcome
from voice_worker.records import Records
from voice_worker.transcript import Source, Transcript
from voice_worker.watchdogs import limit_duration, watch_thinking

logger = structlog.get_logger(__name__)

START_S: Final = 20.0
APOLOGY_S: Final = 25.0
CLOSE_S: Final = 12.0
"""Longer than any tool takes but a hand-over, which is broken off: what it has done is written down, although nobody waits for
its answer any more."""
OVERTIME_S: Final = 10.0
_LAST_WORDS_S: Final = 2.0
_HUSH_S: Final = 3.0
# The framework closes the session when its process is told to stop, before it says so to us; we never do before the end.
_SHUTDOWN: Final = (CloseReason.JOB_SHUTDOWN, CloseReason.USER_INITIATED)
_GOODBYE: Final = "Goodbye."
_AFTER_GOODBYE_S: Final = 0.3
_WARNING: Final = "Please note that this call will end in {seconds} seconds."


@dataclass(frozen=True, slots=True)
class Script:
    """What the agent is told and says on its own."""

    settings: VersionSettings
    instructions: str
    greeting: str
    max_duration_s: float
    voicemail_message: str = ""
    introduction: str = ""
    transfers: TransferPolicy = field(default_factory=TransferPolicy)


class Conversation(ABC):
    """Holds a session between its start and its end. Everything it learns goes to `records`."""

    said_by_caller: Source
    longest_thought_s: float

    def __init__(
        self,
        *,
        session: AgentSession,
        script: Script,
        clock: CallClock,
        answered_at: datetime,
        records: Records,
        orders: Orders,
        keeping: Keeping | None = None,
    ) -> None:
        """Without `keeping` everything is kept."""
        hides = {"hides": keeping.hides} if keeping else {}
        self.keeping = keeping
        self.transcript = Transcript(clock=clock, append=records.append, said_by_caller=self.said_by_caller, **hides)
        self._session = session
        self._script = script
        self._clock = clock
        self._answered_at = answered_at
        self._records = records
        self._orders = orders
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving: asyncio.Task[None] | None = None
        self._failing = False
        self.floor = Floor()
        self._control = Control(self, append=records.append)
        self._who: Agent | None = None
        self._added: list[str] = []

    # -- what kinds of conversation differ in --------------------------------------------------------------------

    @abstractmethod
    def _agent(self, tools: Sequence[llm.Tool]) -> Agent:
        """Who answers."""

    @abstractmethod
    async def _begin(self) -> None:
        """Open the far end, once the session has started."""

    @abstractmethod
    def _own_duties(self) -> list[Coroutine[Any, Any, None]]:
        """What runs beside the conversation besides what every one needs."""

    @abstractmethod
    def _read(self, message: Order) -> None:
        """Somebody has written into the conversation."""

    def _apology_sound(self) -> NotGivenOr[AsyncIterator[rtc.AudioFrame]]:
        """The last words of an agent that cannot go on, if they were spoken beforehand."""
        return NOT_GIVEN

    # -- what tools may do (desk.Talk) ---------------------------------------------------------------------------

    def caller_said(self) -> Sequence[str]:
        return list(self.transcript.caller_said)

    def now(self) -> float:
        return self._clock.now()

    def hang_up_after(self, speech: SpeechHandle) -> None:
        if self._leaving is None or self._leaving.done():
            self._leaving = self._spawn(self._say_goodbye(speech))

    async def press_keys(self, digits: str) -> None:
        """Raises NoKeysError: a conversation has no keys unless it is held over a phone."""
        raise NoKeysError

    def show_keys(self, keys: str) -> str:
        """The keys as they may be shown; what that hides is hidden wherever it is repeated from now on."""
        seen = shown(keys, self._script.settings.digits)
        if seen != keys:
            self._records.hide(keys)
        return seen

    # -- what may be ordered from outside (control.Steered) ------------------------------------------------------

    async def say_now(self, text: str, *, interruptible: bool) -> SpeechHandle | None:
        """Breaks off what the agent says. None when nothing can be said any more."""
        await self._hush()
        return self.say_next(text, interruptible=interruptible)

    def say_next(self, text: str, *, interruptible: bool) -> SpeechHandle | None:
        return self._say(text, source="ordered", interruptible=interruptible)

    async def instruct(self, text: str) -> None:
        """What the agent goes by for the rest of the call."""
        self._added.append(text)
        if self._who:
            await self._who.update_instructions(with_orders(self._script.instructions, self._added))

    async def silence(self, who: str) -> None:
        """The agent hears, but neither speaks nor acts, until `who` gives the floor back."""
        self.floor.take(who)
        await self._hush()

    async def put_through(self, phone: str) -> None:
        """Raises NotPutThroughError: nobody is put through unless they are on a phone."""
        raise NotPutThroughError("no_phone")

    async def hand_over(self, *, targets: Sequence[Target], reason: str, summary: str) -> HandOver:
        """Nobody takes over a conversation that is not held over a phone."""
        return HandOver(joined=None, tried=[Tried(target, "failed") for target in targets])

    async def _hush(self) -> None:
        # The session may be closing of its own accord, which ends the call in any case.
        with contextlib.suppress(RuntimeError, TimeoutError):
            async with asyncio.timeout(_HUSH_S):
                await self._session.interrupt(force=True)

    def _heed(self, order: Order) -> None:
        if order.is_message:
            self._read(order)
        elif self._outcome.done():
            self._records.append(order.ended(failed="call_ended"))
        else:
            self._spawn(self._control.carry_out(order))

    # -- the way through a call ----------------------------------------------------------------------------------

    def end(self, result: Outcome) -> None:
        """The first to end a call decides how it ended."""
        if not self._outcome.done():
            self._outcome.set_result(result)

    async def run(self, *, tools: Sequence[llm.Tool]) -> Outcome:
        """Hold the conversation. Always returns; the session stays open for `close`."""
        self._connect()
        async with asyncio.timeout(START_S):
            self._who = self._agent(tools)
            await self._session.start(self._who, record=False)
            await self._begin()
        self._records.append({"op": "status", "to": "in_progress", "at": self._answered_at.isoformat()})
        for duty in self._duties():
            self._spawn(duty)
        longest = self._script.max_duration_s + OVERTIME_S
        try:
            return await asyncio.wait_for(asyncio.shield(self._outcome), longest)
        except TimeoutError:
            self.end(outcome.MAX_DURATION)
            return self._outcome.result()

    async def close(self) -> None:
        """Stop everything; what was being said is still written down."""
        for task in self._tasks:
            task.cancel()
        # Somebody may hang up right after their last words; without any, nothing is waited for.
        self._session.options.session_close_transcript_timeout = _LAST_WORDS_S if self.transcript.awaits_words else 0.0
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._session.aclose()
        except Exception:
            logger.exception("the session did not close")

    def _connect(self) -> None:
        self._session.on("conversation_item_added", self._on_item)
        self._session.on("error", self._on_error)
        self._session.on("close", self._on_close)

    def _duties(self) -> list[Coroutine[Any, Any, None]]:
        limits = self._script.settings.limits
        return [
            self._greet(),
            self._orders.run(self._heed),
            limit_duration(
                self._clock,
                longest_s=self._script.max_duration_s,
                warning_s=limits.duration_warning_s,
                warn=lambda: self._warn(limits.duration_warning_s),
                end=lambda: self.end(outcome.MAX_DURATION),
            ),
            watch_thinking(
                self._session,
                longest_s=self.longest_thought_s,
                stuck=lambda: self._fail("The language model neither answered nor failed."),
                is_held=lambda: not self.floor.is_agents,
            ),
            *self._own_duties(),
        ]

    async def _greet(self) -> None:
        opening = self._script.settings.opening
        if opening.first_speaker == "caller" or not self._script.greeting:
            return
        if opening.first_speaker == "agent_after_silence":
            await asyncio.sleep(opening.greeting_delay_s)
            if self.transcript.caller_said or self._session.user_state == "speaking":
                return
        self._say(self._script.greeting, source="greeting", interruptible=opening.greeting_interruptible)

    def _say(self, text: str, *, source: Source, interruptible: bool = True) -> SpeechHandle | None:
        if self._outcome.done() or self._failing or not self.floor.is_agents:
            return None
        allow = interruptible and self._script.settings.turn_taking.interruptible
        try:
            handle = self._session.say(text, allow_interruptions=allow)
        except RuntimeError:
            # The session is closing of its own accord, which ends the call in any case.
            return None
        self.transcript.expect(handle, source=source)
        return handle

    def _warn(self, seconds: int) -> None:
        self._say(_WARNING.format(seconds=seconds), source="warning")

    async def _say_goodbye(self, speech: SpeechHandle) -> None:
        """The model's own goodbye, or ours; a caller who has more to say keeps the call."""
        await settled(speech)
        if speech.interrupted:
            return
        if not any(item.type == "message" for item in speech.chat_items):
            said = self._say(_GOODBYE, source="reply")
            if said:
                await settled(said)
                if said.interrupted:
                    return
        await asyncio.sleep(_AFTER_GOODBYE_S)
        if self.floor.is_agents:
            self.end(outcome.END_CALL)

    @property
    def _is_leaving(self) -> bool:
        return bool(self._leaving and not self._leaving.done())

    # -- what the session tells ----------------------------------------------------------------------------------

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        if isinstance(event.item, llm.ChatMessage):
            self.transcript.item_added(event.item)

    def _on_error(self, event: ErrorEvent) -> None:
        if getattr(event.error, "recoverable", True):
            said = str(event.error) if self._records.keeps_content else type(event.error).__name__
            logger.warning("a provider failed and is tried again", error=said)
            return
        stage = type(event.error).__name__.removesuffix("Error")
        self._fail(f"{stage}: {getattr(event.error, 'error', event.error)}")

    def _on_close(self, event: CloseEvent) -> None:
        if self._outcome.done() or self._failing:
            return
        if event.reason in _SHUTDOWN:
            self.end(outcome.WORKER_SHUTDOWN)
        else:
            self.end(outcome.provider_error(f"The session closed: {event.reason.value} {event.error or ''}".strip()))

    # -- failure -------------------------------------------------------------------------------------------------

    def _fail(self, detail: str) -> None:
        if self._failing or self._outcome.done():
            return
        logger.error("a provider failed for good", detail=detail if self._records.keeps_content else "not kept")
        self._failing = True
        at = datetime.now(UTC).isoformat()
        self._records.append({"op": "event", "kind": "provider_failed", "at": at, "data": {"detail": detail}})
        self._spawn(self._apologise(detail))

    async def _apologise(self, detail: str) -> None:
        try:
            async with asyncio.timeout(APOLOGY_S):
                await self._say_apology()
        except Exception:
            logger.exception("the apology was not spoken")
        finally:
            self.end(outcome.provider_error(detail))

    async def _say_apology(self) -> None:
        with contextlib.suppress(RuntimeError, TimeoutError):
            await asyncio.wait_for(self._session.interrupt(force=True), timeout=3.0)
        handle = self._session.say(self._script.settings.apology, audio=self._apology_sound(), allow_interruptions=False)
        self.transcript.expect(handle, source="apology")
        await handle

    def _spawn(self, duty: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(duty)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a duty of the call failed", exc_info=error)
            self.end(outcome.internal_error(error))
