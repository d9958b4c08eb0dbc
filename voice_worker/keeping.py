"""What is kept of a call while it runs: from when on it is recorded, and the stretches that are kept by nobody."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import inf
from typing import Any, Final, Protocol

import structlog

from agents.pipeline import Recording
from voice_worker.audio import CallClock
from voice_worker.consent import judge, withdraws

logger = structlog.get_logger(__name__)

AFTER_CONSENT: Final = "after_consent"
MARK: Final = "[not kept: the recording was paused]"
_ANSWERS: Final = 2


class Recorders(Protocol):
    def resume(self) -> None: ...

    def pause(self) -> None: ...


class Keeping:
    """One call's. Without a recorder pauses still keep words out of the transcript. All methods run on the event loop."""

    def __init__(
        self,
        *,
        clock: CallClock,
        append: Callable[[Mapping[str, Any]], None],
        settings: Recording,
        recorder: Recorders | None = None,
    ) -> None:
        """A recorder that waits for consent has not been started."""
        self._clock = clock
        self._append = append
        self._settings = settings
        self._recorder = recorder
        self._consent = "needed" if recorder and settings.mode == AFTER_CONSENT else "not needed"
        self._answers_left = _ANSWERS
        self._pauses: list[tuple[float, float]] = []
        self._timer: asyncio.TimerHandle | None = None

    # -- consent ---------------------------------------------------------------------------------------------------

    @property
    def needs_consent(self) -> bool:
        return self._consent == "needed"

    def asked(self) -> None:
        """The question has been heard; what is said next answers it."""
        if self._consent == "needed":
            self._consent = "asked"

    def caller_said(self, text: str, *, turn: int) -> None:
        if self._consent == "asked":
            self._take_answer(text, turn=turn)
        elif self._consent == "yes" and withdraws(text):
            self._decide("withdrawn", turn=turn)

    def _take_answer(self, text: str, *, turn: int) -> None:
        answer = judge(text)
        self._answers_left -= 1
        if answer != "unclear":
            self._decide(answer, turn=turn)
        elif self._answers_left == 0:
            self._decide("none", turn=turn)

    def _decide(self, answer: str, *, turn: int) -> None:
        self._consent = answer
        self._note("recording_consent", answer=answer, turn=turn)
        self._apply()

    # -- pauses ----------------------------------------------------------------------------------------------------

    @property
    def is_paused(self) -> bool:
        return bool(self._pauses) and self._pauses[-1][1] == inf

    def pause(self) -> None:
        if self.is_paused:
            return
        self._pauses.append((self._clock.now(), inf))
        self._apply()
        self._timer = asyncio.get_running_loop().call_later(self._settings.pause_at_most_s, self.resume, "time")
        self._note("recording_paused")

    def resume(self, by: str = "tool") -> None:
        """Go on; `by` says what ended the pause."""
        if not self.is_paused:
            return
        self._pauses[-1] = (self._pauses[-1][0], self._clock.now())
        if self._timer:
            self._timer.cancel()
        self._apply()
        self._note("recording_resumed", by=by)

    def hides(self, started_at: float, ended_at: float) -> bool:
        """Whether a pause fell into this stretch of the call."""
        return any(begin <= ended_at and started_at < end for begin, end in self._pauses)

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _apply(self) -> None:
        if self._recorder is None:
            return
        if self._consent in ("not needed", "yes") and not self.is_paused:
            self._recorder.resume()
        else:
            self._recorder.pause()

    def _note(self, kind: str, **data: Any) -> None:
        data["at_ms"] = round(self._clock.now() * 1000)
        self._append({"op": "event", "kind": kind, "at": datetime.now(UTC).isoformat(), "data": data})
        logger.info(kind.replace("_", " "), **data)
