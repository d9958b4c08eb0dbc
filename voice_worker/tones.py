"""Sounds that are no speech, told while a call goes on: the beep of a mailbox, and music."""

from collections import deque
from typing import Final

import numpy as np

from voice_worker.audio import RATE, Int16Array

_WINDOW: Final = RATE // 25
_HOP: Final = RATE // 50
_HOP_S: Final = _HOP / RATE
_BIN_HZ: Final = RATE / _WINDOW
_LOWEST_HZ, _HIGHEST_HZ = 300.0, 2500.0
_PURE: Final = 0.8
_STEADY: Final = 0.015
_LEAST_RMS: Final = 150.0
_BEEP_WINDOWS: Final = round(0.15 / _HOP_S) - 1
_LONGEST_WINDOWS: Final = round(2.5 / _HOP_S)
_SILENT: Final = 0.1
_SILENT_WINDOWS: Final = round(0.2 / _HOP_S)
_MELODY_WINDOWS: Final = round(0.4 / _HOP_S)
_HANN: Final = np.hanning(_WINDOW).astype(np.float32)

_MUSIC_S: Final = 4.0
_DIP: Final = 0.25
_MOST_DIPS: Final = 0.02


class BeepDetector:
    """One steady frequency between 300 and 2500 Hz for 150 ms to 2.5 s, then silence.

    Vowels have overtones and never keep their pitch so well; a tone that comes right after another one belongs to a
    melody or to the network's own signals.
    """

    def __init__(self) -> None:
        self._pcm = np.zeros(0, dtype=np.int16)
        self._tone: list[tuple[float, float]] = []
        self._since_tone = _MELODY_WINDOWS
        self._quiet = 0
        self._awaited = False

    def push(self, pcm: Int16Array) -> bool:
        """Whether a beep has been heard to its end, and silence after it."""
        self._pcm = np.concatenate([self._pcm, pcm])
        found = False
        while len(self._pcm) >= _WINDOW:
            found |= self._take(self._pcm[:_WINDOW].astype(np.float32))
            self._pcm = self._pcm[_HOP:]
        return found

    def _take(self, window: np.ndarray) -> bool:
        rms = float(np.sqrt(np.mean(np.square(window))))
        hertz = _pure_tone(window) if rms >= _LEAST_RMS else None
        if hertz is not None:
            self._hear_tone(hertz, rms)
            return False
        self._since_tone += 1
        if not self._tone:
            return False
        return self._after_tone(rms)

    def _hear_tone(self, hertz: float, rms: float) -> None:
        same = self._tone and not self._quiet and abs(hertz - self._tone[0][0]) <= _STEADY * self._tone[0][0]
        if not same:
            # Whatever sounded just before makes this one part of a melody.
            self._awaited = self._since_tone >= _MELODY_WINDOWS
            self._tone, self._quiet = [], 0
        self._since_tone = 0
        self._tone.append((hertz, rms))

    def _after_tone(self, rms: float) -> bool:
        loudness = max(level for _, level in self._tone)
        # The windows over the tone's end are neither pure nor quiet.
        if rms > _SILENT * loudness and self._since_tone > 2:
            self._tone, self._quiet = [], 0
            return False
        self._quiet += 1
        if self._quiet < _SILENT_WINDOWS:
            return False
        is_beep = self._awaited and _BEEP_WINDOWS <= len(self._tone) <= _LONGEST_WINDOWS
        self._tone, self._quiet = [], 0
        return is_beep


class MusicDetector:
    """Sound that goes on for four seconds without the gaps between syllables and words."""

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=round(_MUSIC_S / _HOP_S))
        self._pcm = np.zeros(0, dtype=np.int16)

    @property
    def is_on(self) -> bool:
        if len(self._levels) < (self._levels.maxlen or 0):
            return False
        levels = np.array(self._levels)
        usual = float(np.percentile(levels, 80))
        return usual >= _LEAST_RMS and float(np.mean(levels < _DIP * usual)) <= _MOST_DIPS

    def push(self, pcm: Int16Array) -> None:
        self._pcm = np.concatenate([self._pcm, pcm])
        while len(self._pcm) >= _HOP:
            self._levels.append(float(np.sqrt(np.mean(np.square(self._pcm[:_HOP].astype(np.float32))))))
            self._pcm = self._pcm[_HOP:]


def _pure_tone(window: np.ndarray) -> float | None:
    """The frequency that holds nearly all of a window's energy, if one does."""
    power = np.square(np.abs(np.fft.rfft(window * _HANN)))
    top = int(np.argmax(power[1:-1])) + 1
    near = float(power[max(0, top - 2) : top + 3].sum())
    if near < _PURE * float(power.sum()):
        return None
    before, peak, after = (float(np.log(power[index] + 1e-9)) for index in (top - 1, top, top + 1))
    bend = before - 2 * peak + after
    hertz = (top + (0.5 * (before - after) / bend if bend else 0.0)) * _BIN_HZ
    return hertz if _LOWEST_HZ <= hertz <= _HIGHEST_HZ else None
