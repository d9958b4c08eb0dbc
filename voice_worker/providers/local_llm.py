"""The language model of this machine behind the framework's ordinary interface, tools included."""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    APIError,
    NotGivenOr,
    llm,
    utils,
)

from agents.tools import ToolSpec
from voice_worker.providers import local_contract as contract
from voice_worker.providers.local_guard import SlotMemory, last_used
from voice_worker.providers.local_http import LocalServer
from voice_worker.providers.local_messages import Message, caller_words, fact_lines, known_text, render_messages, spoken_output
from voice_worker.providers.local_offers import answers_offer, confirmed, make_offer
from voice_worker.providers.local_reply import Reply
from voice_worker.providers.local_slot import Slot
from voice_worker.providers.local_stream import PATIENCE_S, Generation
from voice_worker.tools.grounding import misplaced_numbers, unknown_numbers

_RUN_OUT_S = 2.0


class LocalLLM(llm.LLM):
    """One per conversation: it remembers what the caller has given of an action that is not complete yet."""

    def __init__(
        self,
        *,
        server: LocalServer,
        model: str,
        temperature: float,
        max_output_tokens: int,
        specs: Mapping[str, ToolSpec],
    ) -> None:
        super().__init__()
        self.server, self._model = server, model
        self.temperature, self.max_output_tokens, self.specs = temperature, max_output_tokens, specs
        self.memory = SlotMemory()
        self.slot = Slot(url=server.url.removesuffix("/v1"))
        self._finishing: set[asyncio.Task[None]] = set()

    @property
    def model(self) -> str:
        return self._model

    @property
    def provider(self) -> str:
        return "local"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> "LocalLLMStream":
        return LocalLLMStream(
            self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options, tool_choice=tool_choice or "auto"
        )

    async def warm_up(self, *, chat_ctx: llm.ChatContext, tools: Sequence[llm.Tool]) -> None:
        """Has the model read the instructions ahead of the first question, while a greeting plays, say."""
        actions = contract.read_actions(tools=tools, specs=self.specs)
        system = render_messages(chat_ctx, contract=contract.contract_text(actions))[:1]
        with contextlib.suppress(APIError):
            body = _body(system, slot=await self.slot.number(), n_predict=0)
            async with self.server.post("/chat/completions", timeout_s=PATIENCE_S, json=body) as answer:
                await answer.read()

    def let_finish(self, task: "asyncio.Task[None]") -> None:
        self._finishing.add(task)
        task.add_done_callback(self._finished)

    async def finished(self) -> None:
        """Until the last answer has run out: a request before that would not find its cache."""
        if self._finishing:
            await asyncio.wait(self._finishing, timeout=_RUN_OUT_S)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._finishing.discard(task)
        if not task.cancelled():
            task.exception()  # the answer was complete: what happened after it is nobody's concern

    async def aclose(self) -> None:
        await super().aclose()
        for task in list(self._finishing):
            task.cancel()
        await asyncio.gather(*self._finishing, return_exceptions=True)
        await self.server.aclose()
        self.slot.free()


class LocalLLMStream(llm.LLMStream):
    def __init__(
        self,
        model: LocalLLM,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        conn_options: APIConnectOptions,
        tool_choice: llm.ToolChoice,
    ) -> None:
        super().__init__(model, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)
        self._local, self._choice = model, tool_choice
        # What has been said once must not be said again.
        self._retry_on_chunk_sent = False
        self._id = utils.shortuuid("local_")

    async def _run(self) -> None:
        last = self._chat_ctx.items[-1] if self._chat_ctx.items else None
        if isinstance(last, llm.FunctionCallOutput) and (say := spoken_output(last)) is not None:
            self._say(say)
            return
        actions = contract.read_actions(tools=self._tools, specs=self._local.specs)
        if self._choice == "auto" and (action := confirmed(actions=actions, chat_ctx=self._chat_ctx)):
            self._call(action.name, last_used(action, chat_ctx=self._chat_ctx))
            return
        messages = render_messages(
            self._chat_ctx,
            contract=contract.contract_text(actions),
            attempts=self._local.memory.attempts,
            forget=contract.unknown_reply(actions),
            offered=answers_offer(actions=actions, chat_ctx=self._chat_ctx),
        )
        offer = make_offer(actions=actions, choice=self._choice, chat_ctx=self._chat_ctx, asked=list(self._local.memory.attempts))
        body = _body(
            messages,
            slot=await self._local.slot.number(),
            grammar=contract.grammar(offer.actions, talk=offer.talk),
            temperature=self._local.temperature,
            max_tokens=self._local.max_output_tokens,
            stream=True,
            timings_per_token=True,
        )
        if (reply := await self._listen(body, actions=actions)) is not None:
            self._conclude(reply, actions)

    async def _listen(self, body: dict[str, Any], *, actions: Sequence[contract.Action]) -> Reply | None:
        """The reply, its sentences spoken as they came; None when it was cut off because it was not true."""
        await self._local.finished()
        reply, generation = Reply(), Generation(server=self._local.server, body=body)
        try:
            async for piece in generation.pieces():
                for sentence in reply.feed(piece):
                    if not self._say_if_true(sentence, actions=actions):
                        return None
                if reply.said_all:
                    break
        finally:
            if reply.said_all:
                self._local.let_finish(generation.task)
            else:
                await generation.stop()
            if usage := generation.usage():
                self._event_ch.send_nowait(llm.ChatChunk(id=self._id, usage=usage))
        return reply

    def _say_if_true(self, sentence: str, *, actions: Sequence[contract.Action]) -> bool:
        """A small model makes up prices and times; a number that is not known, or known of something else, is not spoken."""
        asked = (caller_words(self._chat_ctx) or [""])[-1]
        if unknown_numbers(sentence, known=known_text(self._chat_ctx)) or misplaced_numbers(
            sentence, facts=fact_lines(self._chat_ctx), asked=asked
        ):
            if not self._event_ch.output_sent:
                self._say(contract.unknown_reply(actions))
            return False
        self._say(sentence)
        return True

    def _conclude(self, reply: Reply, actions: Sequence[contract.Action]) -> None:
        action = next((action for action in actions if action.name == reply.action), None)
        if action is None:
            if not self._event_ch.output_sent:
                self._say(reply.rest() or contract.unknown_reply(actions))
            return
        if action.speaks:
            self._call(action.name, {})
            return
        values, question = self._local.memory.complete(
            action=action, raw=reply.raw, given=reply.values(), chat_ctx=self._chat_ctx
        )
        if question:
            self._say(question)
        else:
            self._call(action.name, values)

    def _say(self, text: str) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id=self._id, delta=llm.ChoiceDelta(role="assistant", content=text)))

    def _call(self, name: str, values: Mapping[str, Any]) -> None:
        call = llm.FunctionToolCall(name=name, arguments=json.dumps(values, ensure_ascii=False), call_id=utils.shortuuid("call_"))
        self._event_ch.send_nowait(llm.ChatChunk(id=self._id, delta=llm.ChoiceDelta(role="assistant", tool_calls=[call])))


def _body(messages: list[Message], *, slot: int | None, **more: Any) -> dict[str, Any]:
    return {"messages": messages, "cache_prompt": True, "id_slot": -1 if slot is None else slot, **more}
