"""One conversation, from the first word to its end."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from livekit.agents import (
    NOT_GIVEN,
    AgentSession,
    AgentStateChangedEvent,
    CloseEvent,
    ConversationItemAddedEvent,
    ErrorEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
    llm,
)
from livekit.agents.voice import SpeechHandle

from agents.pipeline import VersionSettings
from voice_worker import outcome
from voice_worker.apology import Apology
from voice_worker.audio import CallClock, CallEnds
from voice_worker.heard import HeardOutput, HeardText
from voice_worker.listening import Filtered
from voice_worker.outcome import Outcome
from voice_worker.pipeline import CallAgent
from voice_worker.records import Records
from voice_worker.transcript import Source, Transcript
from voice_worker.watchdogs import Orders, Silence, limit_duration, watch_thinking

logger = structlog.get_logger(__name__)

START_S: Final = 20.0
SPEECH_S: Final = 60.0
APOLOGY_S: Final = 25.0
CLOSE_S: Final = 8.0
OVERTIME_S: Final = 10.0
_LAST_WORDS_S: Final = 2.0
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


class Conversation:
    """Holds a session between its start and its end. Everything it learns goes to `records`."""

    def __init__(
        self,
        *,
        session: AgentSession,
        script: Script,
        ends: CallEnds,
        clock: CallClock,
        answered_at: datetime,
        records: Records,
        orders: Orders,
        apology: Apology,
    ) -> None:
        self.transcript = Transcript(clock=clock, append=records.append)
        self._session = session
        self._script = script
        self._ends = ends
        self._clock = clock
        self._answered_at = answered_at
        self._records = records
        self._orders = orders
        self._apology = apology
        self._filtered = Filtered()
        self._words = HeardText()
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving: asyncio.Task[None] | None = None
        self._failing = False
        self._silence = Silence(session, limits=script.settings.limits, is_busy=self._is_busy)

    # -- what tools may do (desk.Talk) ---------------------------------------------------------------------------

    def caller_said(self) -> Sequence[str]:
        return list(self.transcript.caller_said)

    def now(self) -> float:
        return self._clock.now()

    def hang_up_after(self, speech: SpeechHandle) -> None:
        if self._leaving is None or self._leaving.done():
            self._leaving = self._spawn(self._say_goodbye(speech))

    # -- the way through a call ----------------------------------------------------------------------------------

    def end(self, result: Outcome) -> None:
        """The first to end a call decides how it ended."""
        if not self._outcome.done():
            self._outcome.set_result(result)

    async def run(self, *, tools: Sequence[llm.Tool]) -> Outcome:
        """Hold the conversation. Always returns; the session stays open for `close`."""
        self._connect()
        agent = CallAgent(instructions=self._script.instructions, tools=tools, filtered=self._filtered)
        async with asyncio.timeout(START_S):
            await self._session.start(agent, record=False)
            await self._ends.start()
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
        session = self._session
        session.input.audio = self._ends.audio_input
        session.output.audio = HeardOutput(self._words, next_in_chain=self._ends.audio_output)
        session.output.transcription = self._words
        session.output.audio.on("playback_started", lambda _: self.transcript.agent_began())
        session.on("conversation_item_added", self._on_item)
        session.on("user_input_transcribed", self._on_transcribed)
        session.on("user_state_changed", self._on_user_state)
        session.on("agent_state_changed", self._on_agent_state)
        session.on("error", self._on_error)
        session.on("close", self._on_close)

    def _duties(self) -> list[Coroutine[Any, Any, None]]:
        limits = self._script.settings.limits
        return [
            self._greet(),
            self._watch_line(),
            self._orders.run(hang_up=lambda reason: self.end(outcome.canceled(reason))),
            self._silence.run(ask=self._ask_whether_there, give_up=lambda: self.end(outcome.SILENCE)),
            limit_duration(
                self._clock,
                longest_s=self._script.max_duration_s,
                warning_s=limits.duration_warning_s,
                warn=lambda: self._warn(limits.duration_warning_s),
                end=lambda: self.end(outcome.MAX_DURATION),
            ),
            watch_thinking(self._session, stuck=lambda: self._fail("The language model neither answered nor failed.")),
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

    async def _watch_line(self) -> None:
        await self._ends.left.wait()
        self.end(outcome.CALLER_HUNG_UP)

    def _say(self, text: str, *, source: Source, interruptible: bool = True) -> SpeechHandle | None:
        if self._outcome.done() or self._failing:
            return None
        allow = interruptible and self._script.settings.turn_taking.interruptible
        try:
            handle = self._session.say(text, allow_interruptions=allow)
        except RuntimeError:
            # The session is closing of its own accord, which ends the call in any case.
            return None
        self.transcript.expect(handle, source=source)
        return handle

    def _ask_whether_there(self) -> None:
        self._say(self._script.settings.limits.silence_prompt, source="warning")

    def _warn(self, seconds: int) -> None:
        self._say(_WARNING.format(seconds=seconds), source="warning")

    async def _say_goodbye(self, speech: SpeechHandle) -> None:
        """The model's own goodbye, or ours; a caller who has more to say keeps the call."""
        await _settled(speech)
        if speech.interrupted:
            return
        if not any(item.type == "message" for item in speech.chat_items):
            said = self._say(_GOODBYE, source="reply")
            if said:
                await _settled(said)
                if said.interrupted:
                    return
        await asyncio.sleep(_AFTER_GOODBYE_S)
        self.end(outcome.END_CALL)

    def _is_busy(self) -> bool:
        return self._failing or self.transcript.caller_is_open or bool(self._leaving and not self._leaving.done())

    # -- what the session tells ----------------------------------------------------------------------------------

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        if isinstance(event.item, llm.ChatMessage):
            self.transcript.item_added(event.item)

    def _on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final and event.transcript:
            self._silence.caller_spoke()
            self.transcript.caller_heard(event.transcript, language=str(event.language or ""))

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self.transcript.caller_began()
            self._filtered.agent_spoke = self._session.agent_state == "speaking"
            self._filtered.agent_asked = self._words.text.rstrip().endswith("?")

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        logger.debug("agent state", state=event.new_state)

    def _on_error(self, event: ErrorEvent) -> None:
        if getattr(event.error, "recoverable", True):
            logger.warning("a provider failed and is tried again", error=str(event.error))
            return
        stage = type(event.error).__name__.removesuffix("Error")
        self._fail(f"{stage}: {getattr(event.error, 'error', event.error)}")

    def _on_close(self, event: CloseEvent) -> None:
        if not self._outcome.done() and not self._failing:
            self.end(outcome.provider_error(f"The session closed: {event.reason.value} {event.error or ''}".strip()))

    # -- failure -------------------------------------------------------------------------------------------------

    def _fail(self, detail: str) -> None:
        if self._failing or self._outcome.done():
            return
        logger.error("a provider failed for good", detail=detail)
        self._failing = True
        at = datetime.now(UTC).isoformat()
        self._records.append({"op": "event", "kind": "provider_failed", "at": at, "data": {"detail": detail}})
        self._spawn(self._apologise(detail))

    async def _apologise(self, detail: str) -> None:
        try:
            async with asyncio.timeout(APOLOGY_S):
                await self._speak_apology()
        except Exception:
            logger.exception("the apology was not spoken")
        finally:
            self.end(outcome.provider_error(detail))

    async def _speak_apology(self) -> None:
        with contextlib.suppress(RuntimeError, TimeoutError):
            await asyncio.wait_for(self._session.interrupt(force=True), timeout=3.0)
        sound = self._apology.frames() if self._apology.is_ready else NOT_GIVEN
        handle = self._session.say(self._apology.text, audio=sound, allow_interruptions=False)
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


async def _settled(speech: SpeechHandle) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SPEECH_S):
            await speech
