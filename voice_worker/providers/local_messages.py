"""A conversation as the local model is shown it: what it once answered stands there exactly as it wrote it."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from livekit.agents import llm

from voice_worker.providers.local_contract import acted, said

Message = dict[str, str]
_MOST_CHARACTERS = 20_000  # 6,000 tokens or so, of the 8,192 that the model holds
_OVERHEAD = 40
_FORGOTTEN_AT_ONCE = 20
_SILENCE = "(silence)"


def render_messages(
    chat_ctx: llm.ChatContext,
    *,
    contract: str,
    attempts: Mapping[str, str] | None = None,
    forget: str = "",
    offered: bool = False,
) -> list[Message]:
    """Messages for the chat endpoint. `attempts` maps words that were spoken to the unfinished action behind them.

    Questions that got `forget` for an answer are left out: the model would take it for the answer to everything. Only the
    last one stays when the caller takes up what was `offered` with it.
    """
    system, talk = _split(chat_ctx)
    talk = _without(talk, answer=forget, but_the_last=offered) if forget else talk
    messages: list[Message] = [{"role": "system", "content": "\n\n".join([*system, contract])}]
    for item in _latest(talk, room=_MOST_CHARACTERS - len(messages[0]["content"])):
        messages += _RENDER[item.type](item, attempts or {})
    if messages[-1]["role"] != "user":
        messages.append({"role": "user", "content": _SILENCE})
    return messages


def _split(chat_ctx: llm.ChatContext) -> tuple[list[str], list[Any]]:
    """The instructions, and what came after the conversation began."""
    system: list[str] = []
    talk: list[Any] = []
    for item in chat_ctx.items:
        if item.type == "message" and item.role in {"system", "developer"} and not talk:
            system.append(item.text_content or "")
        elif item.type in _RENDER:
            talk.append(item)
    return system, talk


def _latest(talk: list[Any], *, room: int) -> list[Any]:
    """The end of a long conversation. Forgetting goes in steps, since each makes the model read everything again."""
    sizes = [len(getattr(item, "text_content", None) or getattr(item, "output", "") or "") + _OVERHEAD for item in talk]
    start = 0
    while start + _FORGOTTEN_AT_ONCE < len(talk) and sum(sizes[start:]) > room:
        start += _FORGOTTEN_AT_ONCE
    return talk[start:]


def _without(talk: list[Any], *, answer: str, but_the_last: bool) -> list[Any]:
    kept: list[Any] = []
    last = next((item for item in reversed(talk) if _is_said_by(item, "assistant")), None) if but_the_last else None
    for item in talk:
        if item is not last and _is_said_by(item, "assistant") and (item.text_content or "").strip() == answer:
            while kept and _is_said_by(kept[-1], "user"):
                kept.pop()
        else:
            kept.append(item)
    return kept


def _is_said_by(item: Any, role: str) -> bool:
    return bool(item.type == "message" and item.role == role)


def _message(item: llm.ChatMessage, attempts: Mapping[str, str]) -> list[Message]:
    text = (item.text_content or "").strip()
    if item.role != "assistant":
        return [{"role": "user", "content": text if item.role == "user" else f"({text})"}]
    if item.interrupted:
        # Shown half a sentence as its own, the model would speak in half sentences from then on.
        return [{"role": "user", "content": f"(You were interrupted after: {text})"}]
    tried = attempts.get(text)
    before = [{"role": "assistant", "content": tried}] if tried else []
    return [*before, {"role": "assistant", "content": said(text)}]


def _call(item: llm.FunctionCall, attempts: Mapping[str, str]) -> list[Message]:
    try:
        values = json.loads(item.arguments or "{}")
    except json.JSONDecodeError:
        values = {}
    # An action without values was told together with its words, which follow as a message of their own.
    return [{"role": "assistant", "content": acted(item.name, values)}] if values else []


def _output(item: llm.FunctionCallOutput, attempts: Mapping[str, str]) -> list[Message]:
    if spoken_output(item) is not None:
        return []
    return [{"role": "user", "content": f"({item.name}: {item.output})"}]


_RENDER: Mapping[str, Callable[[Any, Mapping[str, str]], list[Message]]] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _output,
}


def spoken_output(item: llm.FunctionCallOutput) -> str | None:
    """What a tool wants said, word for word; None when it leaves that to the model."""
    try:
        output = json.loads(item.output)
    except (json.JSONDecodeError, TypeError):
        return None
    say = output.get("say") if isinstance(output, dict) else None
    return say if isinstance(say, str) else None


def caller_words(chat_ctx: llm.ChatContext) -> list[str]:
    """The caller's utterances, oldest first."""
    return [item.text_content or "" for item in chat_ctx.items if item.type == "message" and item.role == "user"]


def last_agent_text(chat_ctx: llm.ChatContext) -> str:
    """What the agent said last; empty before it has."""
    texts = (item.text_content for item in reversed(chat_ctx.items) if item.type == "message" and item.role == "assistant")
    return (next(texts, "") or "").strip()


def known_text(chat_ctx: llm.ChatContext) -> list[str]:
    """Everything a number in an answer may come from: instructions, what was said, what tools returned."""
    texts = []
    for item in chat_ctx.items:
        if item.type == "message":
            texts.append(item.text_content or "")
        elif item.type == "function_call_output":
            texts.append(item.output)
    return texts


def fact_lines(chat_ctx: llm.ChatContext) -> list[str]:
    """The lines of the instructions."""
    system = (item.text_content or "" for item in chat_ctx.items if item.type == "message" and item.role == "system")
    return [line for text in system for line in text.splitlines() if line.strip()]
