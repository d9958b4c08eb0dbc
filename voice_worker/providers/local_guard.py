"""What the caller has given of an action: nothing counts that the caller has not said."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from livekit.agents import llm

from voice_worker.providers.local_contract import Action
from voice_worker.providers.local_messages import caller_words, last_agent_text
from voice_worker.tools.grounding import content_words, digits_of, name_is_grounded, phone_is_grounded, reason_is_grounded

_LONGEST_NUMBER = 15
_LONGEST_ANSWER = 200


@dataclass
class SlotMemory:
    """Values of actions that still lack something, kept from turn to turn.

    `attempts` maps the question that was asked to the model's own unfinished action, so that it finds it in its history.
    """

    attempts: dict[str, str] = field(default_factory=dict)
    _kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    def complete(
        self, *, action: Action, raw: str, given: Mapping[str, Any], chat_ctx: llm.ChatContext
    ) -> tuple[dict[str, Any], str]:
        """The action's values, and the question to ask when a required one is missing."""
        said = caller_words(chat_ctx)
        known = last_used(action, chat_ctx=chat_ctx) | self._kept.get(action.name, {})
        whole = {slot: _whole(slot=slot, value=value, before=known.get(slot), said=said) for slot, value in given.items()}
        fresh = {slot: value for slot, value in whole.items() if is_grounded(slot=slot, value=value, said=said)}
        values = {slot: value for slot, value in (known | fresh).items() if slot in action.properties}
        values = _answer(action, chat_ctx=chat_ctx) | values
        missing = [slot for slot in action.required if not values.get(slot)]
        if not missing:
            self._kept.pop(action.name, None)
            return values, ""
        self._kept[action.name] = values
        question = action.question(missing[0])
        self.attempts[question] = raw
        return values, question


def _answer(action: Action, *, chat_ctx: llm.ChatContext) -> dict[str, str]:
    """What the caller said to a question that any words answer, for when the model makes nothing of it."""
    asked = last_agent_text(chat_ctx)
    slot = next((slot for slot in action.required if action.question(slot) == asked), "")
    is_open = slot and "phone" not in slot and "name" not in slot and action.properties[slot].get("type") == "string"
    return {slot: matter} if is_open and (matter := _matter(_words_since_the_agent(chat_ctx))) else {}


def _words_since_the_agent(chat_ctx: llm.ChatContext) -> str:
    replied = takewhile(lambda item: item.type != "message" or item.role != "assistant", reversed(chat_ctx.items))
    said = [item.text_content or "" for item in replied if item.type == "message" and item.role == "user"]
    return " ".join(reversed(said))


def _matter(words: str) -> str:
    """What a sentence is about: 'I have a question about my bill. Please call.' gives 'my bill'."""
    sentence = next((each for each in re.split(r"(?<=[.!?])\s+", words) if content_words(each)), "")
    return sentence.rpartition(" about ")[2].strip(" .!?")[:_LONGEST_ANSWER]


def last_used(action: Action, *, chat_ctx: llm.ChatContext) -> dict[str, Any]:
    """The values of the action's last use, which a correction repeats in part."""
    for item in reversed(chat_ctx.items):
        if item.type == "function_call" and item.name == action.name:
            values = json.loads(item.arguments or "{}")
            return values if isinstance(values, dict) else {}
    return {}


def _whole(*, slot: str, value: Any, before: Any, said: list[str]) -> Any:
    """A phone number as the caller gave it: perhaps in two breaths, perhaps garbled by the model."""
    if "phone" not in slot or not isinstance(value, str) or not said:
        return value
    known = before if isinstance(before, str) else ""
    latest = digits_of(said[-1])
    candidates = [value, f"{known} {value}" if value else "", latest, f"{known} {latest}"]
    likely = (each for each in candidates if len(digits_of(each)) <= _LONGEST_NUMBER and phone_is_grounded(each, said=said))
    return next(likely, value)


def is_grounded(*, slot: str, value: Any, said: list[str]) -> bool:
    """Whether a value comes from the caller. Only free text is checked: other types cannot carry an invention far."""
    if not isinstance(value, str):
        return value is not None
    if "phone" in slot:
        return phone_is_grounded(value, said=said)
    if "name" in slot:
        return name_is_grounded(value, said=said)
    return reason_is_grounded(value, said=said)
