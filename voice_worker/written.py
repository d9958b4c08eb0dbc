"""A conversation that is written: messages come in as commands, what the agent says goes out as turns."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from livekit.agents import Agent, llm

from voice_worker import outcome
from voice_worker.audio import CallClock
from voice_worker.conversation import Conversation, Script
from voice_worker.orders import Order, Orders
from voice_worker.pipeline import open_written_session
from voice_worker.records import Records
from voice_worker.snapshot import CallSnapshot
from voice_worker.transcript import Source
from voice_worker.usage import UsageTotals

IDLE_S: Final = 300.0


class WrittenConversation(Conversation):
    """A chat. Messages are answered one after the other; nobody is interrupted."""

    said_by_caller: Source = "text"
    # A model on this machine answers one chat after the other, and nobody hears the silence.
    longest_thought_s = 120.0

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._unread: asyncio.Queue[Order] = asyncio.Queue()

    def _agent(self, tools: Sequence[llm.Tool]) -> Agent:
        return Agent(instructions=self._script.instructions, tools=list(tools))

    async def _begin(self) -> None:
        """The far end is the database."""

    def _own_duties(self) -> list[Coroutine[Any, Any, None]]:
        return [self._answer_all()]

    def _read(self, message: Order) -> None:
        self._unread.put_nowait(message)

    async def _answer_all(self) -> None:
        while True:
            try:
                written = await asyncio.wait_for(self._unread.get(), IDLE_S)
            except TimeoutError:
                self.end(outcome.IDLE)
                return
            await self._answer(written)

    async def _answer(self, written: Order) -> None:
        if self._failing or self._outcome.done():
            return
        speech = self._session.generate_reply(user_input=written.text, allow_interruptions=False)
        await speech
        if self._leaving:
            await asyncio.wait({self._leaving})
        if not (speech.exception() or speech.interrupted or self._failing):
            at = datetime.now(UTC).isoformat()
            entry = {"op": "answered", "command_id": str(written.command_id), "turn": self.transcript.caller_turn, "at": at}
            self._records.append(entry)


class OpenedChat:
    """A chat and its meter."""

    def __init__(self, snapshot: CallSnapshot, *, model: llm.LLM, records: Records) -> None:
        self._model = model
        self._records = records
        self._usage = UsageTotals(snapshot.settings, append=records.append)
        self._usage.listen(stt_model=None, llm_model=model, tts_model=None)
        self._conversation: WrittenConversation | None = None
        self._counting: asyncio.Task[None] | None = None

    def converse(self, *, script: Script, orders: Orders) -> WrittenConversation:
        self._conversation = WrittenConversation(
            session=open_written_session(self._model),
            script=script,
            clock=CallClock(),
            answered_at=datetime.now(UTC),
            records=self._records,
            orders=orders,
        )
        self._counting = asyncio.create_task(self._usage.keep_flushing())
        return self._conversation

    async def aclose(self) -> None:
        if self._counting:
            self._counting.cancel()
        if self._conversation:
            await self._conversation.close()
        self._usage.flush()
