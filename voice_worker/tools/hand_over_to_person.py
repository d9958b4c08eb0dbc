"""Handing the caller over to one of the version's targets; the model names it, and never gives a number."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from voice_worker.handing import HandOver, Outcome, Tried
from voice_worker.reaching import NobodyHereError, opens_at
from voice_worker.tools.base import Arguments, Result, Use, refused

_NOT_HERE: Final = "Nobody can be reached from here: people can be reached in phone calls only. Say so plainly."
_UNTOLD: Final = "The caller is with you again. Tell them plainly, and offer what else you can do."
_TOLD: Final = 'The caller is with you again and has just heard: "{told}" Say why if that helps, and offer what else you can do.'
_WORDS: Final[Mapping[Outcome, str]] = {
    "declined": "cannot take the call now",
    "busy": "is on another call",
    "voicemail": "did not answer, a mailbox did",
    "no_answer": "did not answer",
    "failed": "could not be reached",
    "closed": "is closed",
}


async def use(arguments: Arguments, use: Use) -> Result:
    try:
        done = await use.desk.hand_over(
            chosen=str(arguments.get("target", "")), reason=str(arguments["reason"]), summary=str(arguments["summary"])
        )
    except NobodyHereError:
        return refused(error=_NOT_HERE)
    if done.joined:
        return Result(status="ok", output={"ok": True, "outcome": "joined", "target": done.joined.name}, reply=False)
    if any(tried.outcome == "caller_left" for tried in done.tried):
        return Result(status="refused", output={"ok": False, "error": "The caller has left."}, reply=False)
    then = _TOLD.format(told=done.told) if done.told else _UNTOLD
    return refused(error=f"{_sentence(done, at=datetime.now(UTC))} {then}")


def _sentence(done: HandOver, *, at: datetime) -> str:
    if not done.tried:
        return "There is nobody this call can be handed to."
    begins = "Nobody is there now" if all(tried.outcome == "closed" for tried in done.tried) else "Nobody took the call"
    return f"{begins}: {'; '.join(_told(tried, at=at) for tried in done.tried)}."


def _told(tried: Tried, *, at: datetime) -> str:
    said = f"{tried.target.name} {_WORDS.get(tried.outcome, tried.outcome)}"
    if tried.outcome != "closed":
        return said
    opens = opens_at(tried.target, at=at)
    if opens is None:
        return f"{said} for the next two weeks"
    day = "today" if opens.date() == at.astimezone(opens.tzinfo).date() else f"on {opens:%A}, {opens.day} {opens:%B}"
    return f"{said} and opens {day} at {opens:%H:%M} ({tried.target.zone})"
