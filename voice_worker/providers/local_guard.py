"""What the caller has given of an action: nothing counts that the caller has not said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from livekit.agents import llm

from voice_worker.providers.local_contract import Action
from voice_worker.providers.local_messages import caller_words
from voice_worker.tools.grounding import name_is_grounded, phone_is_grounded, reason_is_grounded


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
        fresh = {slot: value for slot, value in given.items() if is_grounded(slot=slot, value=value, said=said)}
        values = self._kept.get(action.name, {}) | fresh
        missing = [slot for slot in action.required if not values.get(slot)]
        if not missing:
            self._kept.pop(action.name, None)
            return values, ""
        self._kept[action.name] = values
        question = action.question(missing[0])
        self.attempts[question] = raw
        return values, question


def is_grounded(*, slot: str, value: Any, said: list[str]) -> bool:
    """Whether a value comes from the caller. Only free text is checked: other types cannot carry an invention far."""
    if not isinstance(value, str):
        return value is not None
    if "phone" in slot:
        return phone_is_grounded(value, said=said)
    if "name" in slot:
        return name_is_grounded(value, said=said)
    return reason_is_grounded(value, said=said)
