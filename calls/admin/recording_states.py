"""Where a recording is and, where something is wrong with it, what somebody does about it. The same on every page."""

from dataclasses import dataclass
from typing import Final

from django.utils.safestring import SafeString

from calls.models import Recording
from calls.storage_problems import PROBLEMS, Problem
from tenants.display import badge

State = Recording.State
_LOST: Final = (
    "If the host's folder set-aside still holds the file, keep it: it can be handed in again. The host's log says what happened."
)
_CUT_SHORT: Final = "Free the disk of the worker host, or give VP_SPOOL a larger one. The call itself went on."


@dataclass(frozen=True, slots=True)
class Standing:
    """`sentence` is empty where all is well."""

    label: str
    tone: str
    sentence: str = ""
    detail: str = ""
    next_step: str = ""

    @property
    def badge(self) -> SafeString:
        return badge(self.label, self.tone, title=self.sentence)


def standing(recording: Recording) -> Standing:
    if recording.state in (State.LOST, State.DELETED):
        lost = recording.state == State.LOST
        tone, sentence = ("danger", "The recording was lost.") if lost else ("neutral", "The recording was deleted.")
        return Standing(recording.state, tone, sentence, recording.detail, _LOST if lost else "")
    if problem := PROBLEMS.get(recording.problem):
        return _waits(recording, problem)
    if recording.cut_short:
        label = "cut short" if recording.state == State.STORED else "cut short, on its way"
        return Standing(label, "warning", "The recording stopped before the call did.", recording.detail, _CUT_SHORT)
    if recording.state == State.MAKING:
        return Standing("being made", "info", "LiveKit records the call, or is finishing the file.")
    if recording.state == State.SPOOLED:
        return Standing("on its way", "info", "The worker host still holds it and hands it in within seconds.")
    return Standing("stored", "success")


def _waits(recording: Recording, problem: Problem) -> Standing:
    if recording.state == State.STORED:
        return Standing("to be deleted", "warning", f"Its time is over. {problem.sentence}", "", problem.next_step)
    words = "" if recording.cut_short else recording.detail
    where = "is LiveKit's, and cannot be read yet" if recording.state == State.MAKING else "waits on its worker host"
    waits = f"The recording {where}. {problem.sentence} Tried {recording.tries} times."
    return Standing("waits", "warning", waits, words, problem.next_step)
