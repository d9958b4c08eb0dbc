"""Messages for the staff: taken only in the caller's own words, read back exactly, corrected instead of doubled."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from voice_worker.tools.base import Arguments, Result, Use, ok, refused
from voice_worker.tools.grounding import (
    content_words,
    name_is_grounded,
    phone_is_grounded,
    read_digit_by_digit,
    reason_is_grounded,
)

FEATURE: Final = "voice-agent-tool-take-message"
SLOTS: Final = ("caller_name", "phone", "reason")
_ASK: Final = {
    "caller_name": "May I have your name, please?",
    "phone": "What number can we reach you on?",
    "reason": "What is it about?",
}
_ASK_AGAIN: Final = {
    "caller_name": "I am sorry, I did not get your name. Could you say it again?",
    "phone": "I am sorry, I did not get the number. Could you say it again, digit by digit?",
    "reason": "I am sorry, what should I say it is about?",
}
_NOTED: Final = "Your message is noted. Is there anything else I can do for you?"
_FULL: Final = "I am sorry, I cannot take another message in this call. Is there anything else I can do for you?"
_FAILED: Final = "I am sorry, I cannot write the message down at the moment. Please call again later."
_SAME_REASON: Final = 0.5


def ask_for(missing: Sequence[str]) -> str:
    """What to say when these arguments were not given; one thing at a time."""
    return next((_ASK[slot] for slot in SLOTS if slot in missing), "")


async def use(arguments: Arguments, use: Use) -> Result:
    if doubtful := _not_said(arguments, said=use.desk.caller_said()):
        return refused(missing=doubtful, say=_ASK_AGAIN[doubtful[0]])
    taken: dict[str, dict[str, Any]] = use.memory.setdefault("messages", {})
    values = {slot: str(arguments[slot]) for slot in SLOTS}
    key = _key_of(values, taken=taken)
    if key is None:
        key = f"message-{len(taken) + 1}"
        if len(taken) >= _most(use):
            return refused(say=_FULL)
    elif taken[key] == values:
        return ok(say=_NOTED)
    entry = {"op": "message", "key": key, **values, "urgent": False, "at": use.desk.now_iso()}
    try:
        await use.desk.keep(entry)
    except (OSError, TimeoutError) as error:
        return Result(status="error", output={"ok": False, "error": str(error), "say": _FAILED})
    taken[key] = values
    return ok(say=_read_back(values), to_be_confirmed=True)


def _not_said(values: Arguments, *, said: Sequence[str]) -> list[str]:
    grounded = {
        "caller_name": name_is_grounded(values["caller_name"], said=said),
        "phone": phone_is_grounded(values["phone"], said=said),
        "reason": reason_is_grounded(values["reason"], said=said),
    }
    return [slot for slot in SLOTS if not grounded[slot]]


def _key_of(values: Mapping[str, str], *, taken: Mapping[str, Mapping[str, str]]) -> str | None:
    """The message that these values repeat or correct: two of the three are as they were."""
    for key, known in reversed(list(taken.items())):
        same = [values[slot].casefold() == known[slot].casefold() for slot in ("caller_name", "phone")]
        if sum([*same, _is_same_reason(values["reason"], known["reason"])]) >= 2:
            return key if _is_same_reason(values["reason"], known["reason"]) else None
    return None


def _is_same_reason(one: str, other: str) -> bool:
    """Models put the same reason in other words; another matter from the same caller is another message."""
    first, second = set(content_words(one)), set(content_words(other))
    return one.casefold() == other.casefold() or len(first & second) >= _SAME_REASON * max(1, min(len(first), len(second)))


def _most(use: Use) -> int:
    return int((use.desk.feature(FEATURE) or {}).get("max_per_call", 1))


def _read_back(values: Mapping[str, str]) -> str:
    return f"I have {values['caller_name']}, {read_digit_by_digit(values['phone'])}, about {values['reason']}. Is that right?"
