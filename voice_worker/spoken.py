"""A conversation that is spoken: what is heard, who has the floor, and silence."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, cast

import structlog
from livekit import rtc
from livekit.agents import (
    NOT_GIVEN,
    Agent,
    AgentStateChangedEvent,
    ConversationItemAddedEvent,
    NotGivenOr,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
    llm,
    stt,
    tts,
    vad,
)

from agents.transfers import Target
from voice_worker import outcome
from voice_worker.apology import Apology
from voice_worker.control import settled
from voice_worker.conversation import Conversation
from voice_worker.floor import TRANSFER
from voice_worker.handing import HandOver
from voice_worker.heard import HeardOutput, HeardText
from voice_worker.keys import Entry, NoKeysError, as_message
from voice_worker.line import CallEnds, Colleagues, NotPutThroughError
from voice_worker.listening import Filtered, NearVAD
from voice_worker.orders import Order
from voice_worker.overhearing import Words
from voice_worker.pipeline import CallAgent
from voice_worker.supervisors import HAND_BACK_S
from voice_worker.transcript import Source
from voice_worker.voices import spoken
from voice_worker.warm import Transfer
from voice_worker.watchdogs import Silence

logger = structlog.get_logger(__name__)

_REFERRED_S: Final = 3.0


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
        self._referring: asyncio.Future[None] | None = None
        self._transferring: asyncio.Task[HandOver] | None = None
        self._called = 0
        self._supervisors: set[str] = set()
        self._words = HeardText()
        self._silence = Silence(self._session, limits=self._script.settings.limits, is_busy=self._is_busy)

    def _agent(self, tools: Sequence[llm.Tool]) -> Agent:
        return CallAgent(instructions=self._script.instructions, tools=tools, **self._ways)

    @property
    def _ways(self) -> dict[str, Any]:
        return {"filtered": self._filtered, "floor": self.floor, "overheard": self.transcript.item_added}

    async def _begin(self) -> None:
        await self._ends.start()
        if self._ends.keys:
            self._ends.keys.listen(self._entry.press)
        if self._ends.supervisors:
            self._ends.supervisors.listen(
                joined=self._supervisor_joined, left=self._supervisor_left, said=self._supervisor_said, hearing=self._hearing
            )

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

    async def _greet(self) -> None:
        await super()._greet()
        await self._ask_consent()

    async def _ask_consent(self) -> None:
        """A question that was talked over has not been heard, so it is asked once more."""
        if self.keeping is None or not self.keeping.needs_consent:
            return
        for _ in range(2):
            said = self._say(self._script.settings.recording.consent_question, source="greeting")
            if said is None:
                return
            await settled(said)
            if not said.interrupted:
                self.keeping.asked()
                return

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        super()._on_item(event)
        if self.keeping and isinstance(event.item, llm.ChatMessage) and event.item.role == "user":
            self.keeping.caller_said(event.item.text_content or "", turn=self.transcript.caller_turn)

    async def press_keys(self, digits: str) -> None:
        """Raises NoKeysError."""
        if self._ends.keys is None:
            raise NoKeysError
        await self._ends.keys.press(digits)

    async def put_through(self, phone: str) -> None:
        """The call ends with it. Raises NotPutThroughError; then the agent goes on."""
        if self._ends.refer is None:
            raise NotPutThroughError("no_phone")
        await self.silence(TRANSFER)
        try:
            await self._send_on(phone)
        except NotPutThroughError:
            self.floor.give_back(TRANSFER)
            self._tell_nobody_came()
            raise

    async def hand_over(self, *, targets: Sequence[Target], reason: str, summary: str) -> HandOver:
        """The call goes on without the agent when somebody has taken it; else the agent has the caller again."""
        colleagues = self._ends.colleagues
        if colleagues is None or self._transferring or self._outcome.done():
            return await super().hand_over(targets=targets, reason=reason, summary=summary)
        self._transferring = asyncio.create_task(self._hand_over(colleagues, targets, reason=reason, summary=summary))
        try:
            return await self._transferring
        finally:
            self._transferring = None

    async def _hand_over(self, colleagues: Colleagues, targets: Sequence[Target], *, reason: str, summary: str) -> HandOver:
        try:
            await self._hold(colleagues)
            done = await self._transfer(colleagues).run(
                targets,
                reason=reason,
                summary=summary,
                phone=colleagues.caller_phone,
                caller_left=self._ends.left,
                first=self._called + 1,
            )
            self._called += len(targets)
        except BaseException:
            await self._take_caller_back(colleagues)
            raise
        if done.joined is None:
            await self._take_caller_back(colleagues)
            return replace(done, told=self._tell_nobody_came())
        if done.joined.mode == "warm":
            self.end(outcome.HANDED_OVER)
        return done

    async def _send_on(self, phone: str) -> None:
        """The call ends with it, and nothing may come between: who is put through leaves at the same moment."""
        if self._ends.refer is None:
            raise NotPutThroughError("no_phone")
        self._referring = asyncio.ensure_future(self._ends.refer(phone))
        await self._referring
        self.end(outcome.TRANSFERRED)

    async def _hold(self, colleagues: Colleagues) -> None:
        """The agent is silent and deaf; nothing interrupts it, which would take the tool down that it is handing over with."""
        colleagues.detach()
        policy = self._script.transfers
        said = self._say(policy.hold_sentence, source="ordered", interruptible=False) if policy.hold_sentence else None
        self.floor.take(TRANSFER)
        if said:
            await settled(said)
        if policy.hold_sound:
            colleagues.play_hold()
        self._note_step("transfer_holding")

    def _tell_nobody_came(self) -> str:
        """Returns what is said, at once: a model may take its time to find words of its own."""
        sentence = self._script.transfers.back_sentence
        return sentence if sentence and self._say(sentence, source="ordered") else ""

    async def _take_caller_back(self, colleagues: Colleagues) -> None:
        await colleagues.attach()
        self.floor.give_back(TRANSFER)

    def _transfer(self, colleagues: Colleagues) -> Transfer:
        return Transfer(
            colleagues=colleagues,
            refer=self._send_on,
            hearing=self._hearing(),
            voice=self._speak,
            policy=self._script.transfers,
            note=self._note_step,
        )

    def _hearing(self) -> stt.STT:
        """The session's own, for somebody else."""
        hearing, detector = cast(stt.STT, self._session.stt), cast(vad.VAD, self._session.vad)
        if hearing.capabilities.streaming:
            return hearing
        return stt.StreamAdapter(stt=hearing, vad=detector.inner if isinstance(detector, NearVAD) else detector)

    async def _speak(self, text: str) -> bytes:
        return await spoken(text, voice=cast(tts.TTS, self._session.tts))

    def _note_step(self, kind: str, /, **data: Any) -> None:
        self._records.append({"op": "event", "kind": kind, "at": datetime.now(UTC).isoformat(), "data": data})

    def _supervisor_joined(self, identity: str) -> None:
        self._supervisors.add(identity)
        self._spawn(self.silence(identity))

    def _supervisor_left(self, identity: str) -> None:
        self._supervisors.discard(identity)
        self._spawn(self._take_back(identity))

    def _supervisor_said(self, words: Words) -> None:
        """The agent knows it when it goes on."""
        self.transcript.person_said(words)
        if isinstance(self._who, CallAgent):
            self._spawn(self._who.remember(f"[said by a colleague of yours, to the caller: {words.text}]"))

    async def _take_back(self, identity: str) -> None:
        """The agent goes on where a supervisor has left, unless they come back, or another one is there."""
        await asyncio.sleep(HAND_BACK_S)
        if identity in self._supervisors or not self.floor.is_taken_by(identity):
            return
        self.floor.give_back(identity)
        self._say(self._script.settings.hand_back, source="ordered")

    async def close(self) -> None:
        if self._referring:
            self._referring.cancel()
        if self._transferring:
            self._transferring.cancel()
            await asyncio.wait([self._transferring], timeout=_REFERRED_S)
        self._entry.close()
        if self.keeping:
            self.keeping.close()
        await super().close()

    def _own_duties(self) -> list[Coroutine[Any, Any, None]]:
        silence = self._silence.run(ask=self._ask_whether_there, give_up=lambda: self.end(outcome.SILENCE))
        return [self._watch_line(), silence]

    def _read(self, message: Order) -> None:
        """The platform refuses messages into calls; nobody would answer this one."""
        logger.warning("a message came into a spoken call", command_id=str(message.command_id))

    async def _watch_line(self) -> None:
        await self._ends.left.wait()
        # Who is put through leaves before we are told so.
        if self._referring:
            await asyncio.wait([self._referring], timeout=_REFERRED_S)
        ends = {"connection_lost": outcome.CONNECTION_LOST, "room_closed": outcome.CONNECTION_LOST}
        self.end(ends.get(self._ends.left_reason, self._hung_up))

    def _ask_whether_there(self) -> None:
        self._say(self._script.settings.limits.silence_prompt, source="warning")

    def _is_busy(self) -> bool:
        return self._failing or not self.floor.is_agents or self.transcript.caller_is_open or self._is_leaving

    def _on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final and event.transcript:
            self._silence.caller_spoke()
            words, goes_on = self._filtered.take_words(), self._session.user_state == "speaking"
            language = str(event.language or "")
            self.transcript.caller_heard(event.transcript, language=language, words=words, goes_on=goes_on)

    def _on_pressed(self, keys: str) -> None:
        """Keys are an answer like words are, and also break in on the agent."""
        if self._outcome.done() or self._failing:
            return
        self._silence.caller_spoke()
        self.transcript.keys_pressed(as_message(keys), shown=as_message(self.show_keys(keys)))
        self._answer_keys(as_message(keys))

    def _answer_keys(self, message: str) -> None:
        if not self.floor.is_agents:
            self._note_keys(message)
            return
        # The session closes of its own accord, or the agent must not be interrupted: then it answers afterwards.
        with contextlib.suppress(RuntimeError):
            self._session.interrupt()
        with contextlib.suppress(RuntimeError):
            self._session.generate_reply(user_input=message)

    def _note_keys(self, message: str) -> None:
        """They are written down and remembered, and nobody answers them."""
        self.transcript.note_keys(message)
        if isinstance(self._who, CallAgent):
            self._spawn(self._who.remember(message))

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self.transcript.caller_began()
            self._filtered.agent_spoke = self._session.agent_state == "speaking"
            self._filtered.agent_asked = self._words.text.rstrip().endswith("?")

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        logger.debug("agent state", state=event.new_state)

    def _apology_sound(self) -> NotGivenOr[AsyncIterator[rtc.AudioFrame]]:
        return self._apology.frames() if self._apology.is_ready else NOT_GIVEN
