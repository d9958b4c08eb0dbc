"""A conversation that is spoken: what is heard, who has the floor, and silence."""

import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

import structlog
from livekit import rtc
from livekit.agents import (
    NOT_GIVEN,
    Agent,
    AgentStateChangedEvent,
    NotGivenOr,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
    llm,
)

from voice_worker import outcome
from voice_worker.apology import Apology
from voice_worker.audio import CallEnds
from voice_worker.conversation import Conversation
from voice_worker.heard import HeardOutput, HeardText
from voice_worker.keys import Entry, NoKeysError, as_message
from voice_worker.listening import Filtered
from voice_worker.pipeline import CallAgent
from voice_worker.transcript import Source
from voice_worker.watchdogs import Silence, Written

logger = structlog.get_logger(__name__)


class SpokenConversation(Conversation):
    """A call, with the caller at `ends`."""

    said_by_caller: Source = "speech"
    longest_thought_s = 25.0

    def __init__(self, *, ends: CallEnds, apology: Apology, was_called: bool = False, **parts: Any) -> None:
        """`was_called`: the person at the other end did not call, but was called."""
        super().__init__(**parts)
        self._hung_up = outcome.RECIPIENT_HUNG_UP if was_called else outcome.CALLER_HUNG_UP
        self._ends = ends
        self._apology = apology
        self._entry = Entry(self._on_pressed)
        self._filtered = Filtered()
        self._words = HeardText()
        self._silence = Silence(self._session, limits=self._script.settings.limits, is_busy=self._is_busy)

    def _agent(self, tools: Sequence[llm.Tool]) -> Agent:
        return CallAgent(instructions=self._script.instructions, tools=tools, filtered=self._filtered)

    async def _begin(self) -> None:
        await self._ends.start()
        if self._ends.keys:
            self._ends.keys.listen(self._entry.press)

    def _connect(self) -> None:
        super()._connect()
        session = self._session
        session.input.audio = self._ends.audio_input
        session.output.audio = HeardOutput(self._words, next_in_chain=self._ends.audio_output)
        session.output.transcription = self._words
        session.output.audio.on("playback_started", lambda _: self.transcript.agent_began())
        session.on("user_input_transcribed", self._on_transcribed)
        session.on("user_state_changed", self._on_user_state)
        session.on("agent_state_changed", self._on_agent_state)

    async def press_keys(self, digits: str) -> None:
        """Raises NoKeysError."""
        if self._ends.keys is None:
            raise NoKeysError
        await self._ends.keys.press(digits)

    async def close(self) -> None:
        self._entry.close()
        await super().close()

    def _own_duties(self) -> list[Coroutine[Any, Any, None]]:
        silence = self._silence.run(ask=self._ask_whether_there, give_up=lambda: self.end(outcome.SILENCE))
        return [self._watch_line(), silence]

    def _read(self, written: Written) -> None:
        """The platform refuses messages into calls; nobody would answer this one."""
        logger.warning("a message came into a spoken call", command_id=str(written.command_id))

    async def _watch_line(self) -> None:
        await self._ends.left.wait()
        ends = {"connection_lost": outcome.CONNECTION_LOST, "room_closed": outcome.CONNECTION_LOST}
        self.end(ends.get(self._ends.left_reason, self._hung_up))

    def _ask_whether_there(self) -> None:
        self._say(self._script.settings.limits.silence_prompt, source="warning")

    def _is_busy(self) -> bool:
        return self._failing or self.transcript.caller_is_open or self._is_leaving

    def _on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final and event.transcript:
            self._silence.caller_spoke()
            self.transcript.caller_heard(event.transcript, language=str(event.language or ""))

    def _on_pressed(self, keys: str) -> None:
        """Keys are an answer like words are, and also break in on the agent."""
        if self._outcome.done() or self._failing:
            return
        self._silence.caller_spoke()
        self.transcript.keys_pressed(as_message(keys), shown=as_message(self.show_keys(keys)))
        self._answer_keys(as_message(keys))

    def _answer_keys(self, message: str) -> None:
        # The session closes of its own accord, or the agent must not be interrupted: then it answers afterwards.
        with contextlib.suppress(RuntimeError):
            self._session.interrupt()
        with contextlib.suppress(RuntimeError):
            self._session.generate_reply(user_input=message)

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self.transcript.caller_began()
            self._filtered.agent_spoke = self._session.agent_state == "speaking"
            self._filtered.agent_asked = self._words.text.rstrip().endswith("?")

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        logger.debug("agent state", state=event.new_state)

    def _apology_sound(self) -> NotGivenOr[AsyncIterator[rtc.AudioFrame]]:
        return self._apology.frames() if self._apology.is_ready else NOT_GIVEN
