"""Which actions the local model may choose from at a turn: it sees forms where there are none, and forgets open ones."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from livekit.agents import llm

from voice_worker.providers.local_contract import Action
from voice_worker.providers.local_messages import caller_words, last_agent_text, spoken_output
from voice_worker.tools.grounding import digits_of

_LATEST = 2
_CORRECTION_DIGITS = 3
_DECLINES = re.compile(
    r"\?|\b(no|not|don't|do not|never mind|nevermind|forget|cancel|stop|wait|bye|goodbye|why|what|how|when|where|who)\b", re.I
)
_ANSWERS = re.compile(r"(yes|yeah|yep|sure|ok|okay|please|no|nope|of course|that would|go ahead)\b", re.IGNORECASE)
_SHORT_ANSWER = 4
_YES = re.compile(
    r"(?:yes|yeah|yep|right|correct|exactly|that(?:'s| is) (?:right|correct|it))"
    r"(?:[,.]? (?:yes|please|it is|that(?:'s| is) (?:right|correct|it|fine)|thank you|thanks))*[.!]*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Offer:
    """The actions of a turn, and whether plain talk is one of the choices."""

    actions: Sequence[Action]
    talk: bool = True


def make_offer(*, actions: Sequence[Action], choice: llm.ToolChoice, chat_ctx: llm.ChatContext, asked: Sequence[str]) -> Offer:
    """`asked` are the questions that were put to the caller for an action's sake."""
    if choice == "none":
        return Offer([])
    if isinstance(choice, dict):
        actions = [action for action in actions if action.name == choice["function"]["name"]]
    if choice == "required" or isinstance(choice, dict):
        return Offer(actions, talk=not actions)
    if open_action := _under_way(actions, chat_ctx=chat_ctx, asked=asked):
        return Offer([open_action], talk=False)
    return Offer([action for action in actions if _is_cued(action, chat_ctx=chat_ctx)])


def answers_offer(*, actions: Sequence[Action], chat_ctx: llm.ChatContext) -> bool:
    """Whether the caller takes up (or turns down) what the agent has just offered, rather than asking something else."""
    said = (caller_words(chat_ctx) or [""])[-1]
    if len(said.split()) <= _SHORT_ANSWER and _ANSWERS.match(said.strip()):
        return True
    return any(re.search(action.cues, said, re.IGNORECASE) for action in actions if action.cues and not action.speaks)


def confirmed(*, actions: Sequence[Action], chat_ctx: llm.ChatContext) -> Action | None:
    """The action whose tool has just asked whether all is right, when the caller has said no more than yes."""
    used = _last_use(chat_ctx)
    if used is None or not _YES.fullmatch((caller_words(chat_ctx) or [""])[-1].strip()):
        return None
    asks = json.loads(used.output).get("to_be_confirmed")
    return next((action for action in actions if asks and action.name == used.name), None)


def _under_way(actions: Sequence[Action], *, chat_ctx: llm.ChatContext, asked: Sequence[str]) -> Action | None:
    """The action that the caller's last words go on with: an answer to its question, or a number put right."""
    # What has one thing to fill in is filled in at once or not at all.
    forms = [action for action in actions if not action.speaks and len(action.required) > 1]
    said = caller_words(chat_ctx)
    if len(forms) != 1 or not said:
        return None
    if last_agent_text(chat_ctx) in asked and not _DECLINES.search(said[-1]):
        return forms[0]
    used = _last_use(chat_ctx)
    correcting = used is not None and used.name == forms[0].name and len(digits_of(said[-1])) >= _CORRECTION_DIGITS
    return forms[0] if correcting else None


def _is_cued(action: Action, *, chat_ctx: llm.ChatContext) -> bool:
    if not action.cues:
        return True
    # A form may have been asked for a moment ago; a goodbye counts only while it is the last thing said.
    latest = caller_words(chat_ctx)[-1:] if action.speaks else [*caller_words(chat_ctx)[-_LATEST:], last_agent_text(chat_ctx)]
    return any(re.search(action.cues, text, re.IGNORECASE) for text in latest)


def _last_use(chat_ctx: llm.ChatContext) -> llm.FunctionCallOutput | None:
    """The tool's answer whose words were the last that the agent said."""
    last = last_agent_text(chat_ctx)
    for item in reversed(chat_ctx.items):
        if item.type == "function_call_output":
            return item if (spoken_output(item) or "").strip() == last else None
    return None
