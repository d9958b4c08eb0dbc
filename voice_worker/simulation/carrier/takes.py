"""What a phone says and hears, kept as a sound file."""

import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from voice_worker.audio import RATE, Int16Array
from voice_worker.simulation.carrier.legs import Ear

_LATE: Final = RATE // 5
"""Frames that come later than this, in samples, belong where they came; earlier ones where the last one ended."""


class Take:
    """One phone from now on: on the left what it says, on the right all it hears, mixed."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock, self._began = path, clock, clock()
        self._said: list[tuple[int, Int16Array]] = []
        self._heard: list[tuple[int, Int16Array]] = []
        self.say = self._ear(self._said)

    def ear(self) -> Ear:
        """For one track; it tells when it has come by the clock."""
        return self._ear(self._heard)

    def store(self) -> None:
        """Blocks. Raises OSError."""
        sides = (self._said, self._heard)
        length = max((at + len(pcm) for side in sides for at, pcm in side), default=0)
        sound = np.zeros((length, len(sides)), dtype=np.int32)
        for channel, side in enumerate(sides):
            for at, pcm in side:
                sound[at : at + len(pcm), channel] += pcm
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(self._path), "wb") as file:
            file.setnchannels(len(sides))
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(sound.clip(-32768, 32767).astype("<i2").tobytes())

    def _ear(self, side: list[tuple[int, Int16Array]]) -> Ear:
        ends = -_LATE

        def push(pcm: Int16Array) -> None:
            nonlocal ends
            came = round((self._clock() - self._began) * RATE)
            at = came if came - ends >= _LATE else ends
            side.append((at, pcm.copy()))
            ends = at + len(pcm)

        return push
