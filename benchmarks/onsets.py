"""When the agent began to speak, by a measure of its own: what the ears are held against."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.report import median
from voice_worker.audio import RATE, Int16Array

_STEP = RATE // 200
_AUDIBLE_RMS = 60.0
_SILENT_FOR_S = 0.3
_SAME_TURN_S = 1.0


class Onsets:
    """A tap that notes each moment at which the agent became audible after silence, to 5 ms."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self._last_audible = -_SILENT_FOR_S

    def caller_frame(self, pcm: Int16Array, at: float) -> None:
        """The caller's own log tells when it spoke."""

    def agent_frame(self, pcm: Int16Array, at: float) -> None:
        level = np.sqrt(np.mean(np.square(pcm.astype(np.float32).reshape(-1, _STEP)), axis=1))
        for index in np.flatnonzero(level >= _AUDIBLE_RMS):
            moment = at + int(index) * _STEP / RATE
            if moment - self._last_audible >= _SILENT_FOR_S:
                self.at.append(moment)
            self._last_audible = moment


def gap_errors_ms(turns: Sequence[Any], *, onsets: Sequence[float], spoken: Sequence[dict[str, Any]]) -> list[float]:
    """For each stored turn with a response gap: how far it is from onset minus the end of the caller's speech."""
    errors = []
    for turn in turns:
        gap = turn.metrics.get("response_gap")
        near = [at for at in onsets if turn.started_ms is not None and abs(at - turn.started_ms / 1000) <= _SAME_TURN_S]
        if gap is None or not near:
            continue
        onset = min(near, key=lambda at: abs(at - turn.started_ms / 1000))
        before = [line["end"] for line in spoken if line["end"] < onset]
        if before:
            errors.append(gap - (onset - before[-1]) * 1000)
    return errors


def summary_of(errors: Sequence[float]) -> tuple[float, float]:
    """Median and largest of the errors' sizes."""
    sizes = [abs(error) for error in errors]
    return median(sizes), max(sizes, default=float("nan"))
