"""A conversation with somebody who was called: before the agent speaks, it is found out who or what answered."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from livekit.agents import Agent, StopResponse, UserInputTranscribedEvent, llm

from voice_worker import outcome
from voice_worker.answering import LONGEST_S, AnsweredBy, Heard, judge, machine_of, promises_tone
from voice_worker.control import settled
from voice_worker.opening_ear import OpeningEar
from voice_worker.pipeline import CallAgent
from voice_worker.spoken import SpokenConversation

logger = structlog.get_logger(__name__)

_POLL_S: Final = 0.1
_TURN_ENDS_S: Final = 0.8
_AFTER_BEEP_S: Final = 0.3
_GREETING_ENDS_S: Final = 1.5
_TONE_COMES_S: Final = 4.0
_LONGEST_GREETING_S: Final = 60.0
_PERSON_COMES_S: Final = 45.0
_AFTER_MESSAGE_S: Final = 0.5
_LATE_S: Final = 1.5
_MAILBOXES: Final = ("machine_vm", "machine_unavailable")


class CalledAgent(CallAgent):
    """Answers nothing of what was said before `release`, also where a turn ends only after it."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.holds = True
        self._answered, self._until = "", 0.0

    def release(self, text: str) -> None:
        """`text` is what was said until now."""
        self.holds, self._answered, self._until = False, text, time.monotonic() + _LATE_S

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:
        await super().on_user_turn_completed(turn_ctx, new_message)
        is_late = time.monotonic() < self._until and (new_message.text_content or "") in self._answered
        if self.holds or is_late:
            raise StopResponse


class CalledConversation(SpokenConversation):
    """What is said before the agent may speak is written down and answered by nobody."""

    def __init__(self, *, ear: OpeningEar, **parts: Any) -> None:
        super().__init__(was_called=True, **parts)
        self._ear = ear
        self._machines = self._script.settings.machines
        self._said: list[str] = []
        self._saying = ""
        self._talker = CalledAgent(instructions=self._script.instructions, tools=(), **self._ways)

    def _agent(self, tools: Sequence[llm.Tool]) -> Agent:
        self._talker = CalledAgent(instructions=self._script.instructions, tools=tools, **self._ways)
        return self._talker

    def _is_busy(self) -> bool:
        return self._talker.holds or super()._is_busy()

    def _on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        super()._on_transcribed(event)
        if event.is_final and event.transcript:
            self._said.append(event.transcript)
        self._saying = "" if event.is_final else event.transcript

    @property
    def _text(self) -> str:
        return " ".join([*self._said, self._saying]).strip()

    def _heard(self) -> Heard:
        return self._ear.heard(self._text, awaits_words=self.transcript.awaits_words)

    def _answer_keys(self, message: str) -> None:
        if self._talker.holds:
            self._note_keys(message)
        else:
            super()._answer_keys(message)

    async def _greet(self) -> None:
        try:
            who = await self._found_out(silence_s=self._machines.silence_after_answer_s)
            self._note(who)
            await self._meet(who)
            if who == "uncertain" and (machine := await self._proved()):
                self._note(machine)
                self._talker.holds = True
                with contextlib.suppress(RuntimeError):
                    await self._session.interrupt(force=True)
                await self._meet(machine)
        finally:
            self._ear.close()

    async def _found_out(self, *, silence_s: float, longest_s: float = LONGEST_S) -> AnsweredBy:
        while True:
            await asyncio.sleep(_POLL_S)
            if verdict := judge(self._heard(), silence_s=silence_s, longest_s=longest_s):
                return verdict

    async def _proved(self) -> AnsweredBy | None:
        """The machine that an uncertain answer proves to be; None once it is a person, or nobody can tell."""
        while self._heard().elapsed_s < LONGEST_S:
            await asyncio.sleep(_POLL_S)
            if machine := machine_of(self._heard()):
                return machine
            if judge(self._heard(), silence_s=LONGEST_S, longest_s=2 * LONGEST_S) == "human":
                self._note("human")
                return None
        return None

    async def _meet(self, who: AnsweredBy) -> None:
        if who == "screening":
            await self._be_screened()
        elif who in _MAILBOXES and self._machines.on_voicemail != "continue":
            await self._meet_mailbox(takes_message=who == "machine_vm")
        elif who == "machine_ivr" and self._machines.on_menu == "hang_up":
            self.end(outcome.MENU)
        else:
            await self._talk(greets=who != "machine_ivr")

    async def _talk(self, *, greets: bool = True) -> None:
        """From here on, it is a conversation like any other."""
        text, opening = self._text, self._script.settings.opening
        self._talker.release(text)
        with contextlib.suppress(RuntimeError):
            self._session.clear_user_turn()
        answers = opening.first_speaker == "caller" or (opening.first_speaker == "agent_after_silence" and bool(text))
        if greets and self._script.greeting and not answers:
            await self._talker.remember(text)
            self._say(self._script.greeting, source="greeting", interruptible=opening.greeting_interruptible)
        elif text and self.floor.is_agents:
            self._session.generate_reply(user_input=text)
        self._spawn(self._ask_consent())

    async def _meet_mailbox(self, *, takes_message: bool) -> None:
        if not takes_message:
            self.end(outcome.UNAVAILABLE)
        elif self._machines.on_voicemail == "hang_up" or not await self._may_be_spoken_to():
            self.end(outcome.VOICEMAIL)
        else:
            said = self._say(self._script.voicemail_message, source="greeting", interruptible=False)
            if said:
                await settled(said)
            await asyncio.sleep(_AFTER_MESSAGE_S)
            self.end(outcome.MESSAGE_LEFT)

    async def _may_be_spoken_to(self) -> bool:
        """Waits for the beep, or for the greeting's end where none comes. False when the greeting does not end."""
        begun = self._clock.now()
        while self._clock.now() - begun < _LONGEST_GREETING_S:
            heard = self._heard()
            patience = _TONE_COMES_S if promises_tone(heard.text) else _GREETING_ENDS_S
            if heard.quiet_s >= (_AFTER_BEEP_S if heard.beep else patience):
                return True
            await asyncio.sleep(_POLL_S)
        return False

    async def _be_screened(self) -> None:
        if self._machines.on_screening == "hang_up":
            self.end(outcome.SCREENED)
            return
        await self._question_ends()
        self._forget()
        said = self._say(self._script.introduction, source="greeting", interruptible=False)
        if said:
            await settled(said)
        who: AnsweredBy = "screening"
        while who in ("screening", "machine_ivr"):
            self._forget()
            who = await self._found_out(silence_s=_PERSON_COMES_S, longest_s=_PERSON_COMES_S)
        await self._meet(who)

    async def _question_ends(self) -> None:
        while True:
            if self._heard().quiet_s >= _TURN_ENDS_S:
                return
            await asyncio.sleep(_POLL_S)

    def _forget(self) -> None:
        self._said, self._saying = [], ""
        self._ear.start_again()

    def _note(self, who: AnsweredBy) -> None:
        heard = replace(self._heard(), text="")
        logger.info("the call was answered", by=who, words=len(self._text.split()), heard=heard)
        self._records.append({"op": "answered_by", "who": who, "at": datetime.now(UTC).isoformat()})
