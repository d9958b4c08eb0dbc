"""The language model of this machine behind the framework's ordinary interface, tools included."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import aiohttp
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
from voice_worker.providers.local_guard import SlotMemory
from voice_worker.providers.local_http import LocalServer
from voice_worker.providers.local_messages import Message, known_text, render_messages, spoken_output
from voice_worker.providers.local_reply import Reply
from voice_worker.tools.grounding import unknown_numbers

_FIRST_TOKEN_S = 60.0  # a long prompt that is not in the cache yet takes its time


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
            async with self.server.post("/chat/completions", timeout_s=_FIRST_TOKEN_S, json=_body(system, n_predict=0)) as answer:
                await answer.read()

    async def aclose(self) -> None:
        await super().aclose()
        await self.server.aclose()


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
        self._id = utils.shortuuid("local_")

    async def _run(self) -> None:
        last = self._chat_ctx.items[-1] if self._chat_ctx.items else None
        if isinstance(last, llm.FunctionCallOutput) and (say := spoken_output(last)) is not None:
            self._say(say)
            return
        actions = contract.read_actions(tools=self._tools, specs=self._local.specs)
        messages = render_messages(self._chat_ctx, contract=contract.contract_text(actions), attempts=self._local.memory.attempts)
        reply, known = Reply(), known_text(self._chat_ctx)
        async with self._generate(messages, actions) as pieces:
            async for piece in pieces:
                for sentence in reply.feed(piece):
                    if not self._say_if_true(sentence, known=known, actions=actions):
                        return
                if reply.said_all:
                    break
        self._conclude(reply, actions)

    def _say_if_true(self, sentence: str, *, known: list[str], actions: Sequence[contract.Action]) -> bool:
        """A small model makes up prices and times; a number that nobody has mentioned is not spoken."""
        if unknown_numbers(sentence, known=known):
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

    @contextlib.asynccontextmanager
    async def _generate(self, messages: list[Message], actions: Sequence[contract.Action]) -> AsyncIterator[AsyncIterator[str]]:
        """Pieces of the answer. Leaving the block stops the model; what it used is reported either way."""
        body = _body(
            messages,
            grammar=_grammar(actions, choice=self._choice),
            temperature=self._local.temperature,
            max_tokens=self._local.max_output_tokens,
            stream=True,
            timings_per_token=True,
        )
        used: dict[str, int] = {}
        try:
            async with self._local.server.post("/chat/completions", timeout_s=_FIRST_TOKEN_S, json=body) as answer:
                yield _pieces(answer, used)
        finally:
            if used:
                self._event_ch.send_nowait(llm.ChatChunk(id=self._id, usage=_usage(used)))

    def _say(self, text: str) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id=self._id, delta=llm.ChoiceDelta(role="assistant", content=text)))

    def _call(self, name: str, values: Mapping[str, Any]) -> None:
        call = llm.FunctionToolCall(name=name, arguments=json.dumps(values, ensure_ascii=False), call_id=utils.shortuuid("call_"))
        self._event_ch.send_nowait(llm.ChatChunk(id=self._id, delta=llm.ChoiceDelta(role="assistant", tool_calls=[call])))


def _body(messages: list[Message], **more: Any) -> dict[str, Any]:
    return {"messages": messages, "cache_prompt": True, **more}


def _grammar(actions: Sequence[contract.Action], *, choice: llm.ToolChoice) -> str:
    if choice == "none" or not actions:
        return contract.grammar([])
    if choice == "required":
        return contract.grammar(actions, talk=False)
    if isinstance(choice, dict):
        named = [action for action in actions if action.name == choice["function"]["name"]]
        return contract.grammar(named, talk=not named)
    return contract.grammar(actions)


async def _pieces(answer: aiohttp.ClientResponse, used: dict[str, int]) -> AsyncIterator[str]:
    async for line in answer.content:
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[len(b"data: ") :])
        used.update({key: value for key, value in chunk.get("timings", {}).items() if key.endswith("_n")})
        for choice in chunk.get("choices", []):
            if text := choice.get("delta", {}).get("content"):
                yield text


def _usage(used: Mapping[str, int]) -> llm.CompletionUsage:
    cached, read, written = (int(used.get(key, 0)) for key in ("cache_n", "prompt_n", "predicted_n"))
    return llm.CompletionUsage(
        completion_tokens=written,
        prompt_tokens=cached + read,
        prompt_cached_tokens=cached,
        total_tokens=cached + read + written,
    )
