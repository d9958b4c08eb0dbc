"""What phones play, and how tokens are heard again: a token is one pure tone, so several heard at once can be told apart."""

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from voice_worker.audio import RATE, Int16Array

TOKENS: Final = 300
BEEP_S: Final = 0.4
_LOWEST_HZ, _STEP_HZ = 400, 10
_WINDOW: Final = RATE // 2
_HOP: Final = RATE // 4
_LOUDNESS: Final = 6000
_LEAST_RMS: Final = 60.0
_WITHIN: Final = 0.02
"""Share of a window's energy that a token's tone has at least; speech spreads, an echo is far below."""

_HANN: Final = np.hanning(_WINDOW).astype(np.float32)
_BINS: Final = np.array([(_LOWEST_HZ + _STEP_HZ * token) * _WINDOW // RATE for token in range(TOKENS)])


def token_tone(token: int, *, seconds: float) -> Int16Array:
    return tone(_LOWEST_HZ + _STEP_HZ * token, seconds=seconds)


def tone(hertz: float, *, seconds: float) -> Int16Array:
    at = np.arange(round(seconds * RATE)) / RATE
    return (_LOUDNESS * np.sin(2 * np.pi * hertz * at)).astype(np.int16)


def beep() -> Int16Array:
    return tone(1000, seconds=BEEP_S)


def murmur(text: str) -> Int16Array:
    """As long and about as loud as the text would be spoken, where nothing can speak it: syllables of a buzz."""
    seconds = max(0.6, len(text) / 15)
    at = np.arange(round(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * 130 * harmonic * at) / harmonic for harmonic in range(1, 12))
    return (2500 * voice * np.clip(np.sin(2 * np.pi * 3.5 * at), 0.05, 1)).clip(-32768, 32767).astype(np.int16)


def read_wav(path: Path) -> tuple[Int16Array, int]:
    """Samples of its first channel and their rate. Raises OSError, wave.Error and ValueError."""
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2:
            raise ValueError(f"{path}: 16 bit samples are needed")
        pcm = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)
        return pcm[:: file.getnchannels()].copy(), file.getframerate()


class TokenEar:
    """Tells each token once, as soon as it was heard in two windows of half a second in a row."""

    def __init__(self, on_token: Callable[[int], None]) -> None:
        self._on_token = on_token
        self._heard: set[int] = set()
        self._before: set[int] = set()
        self._pcm = np.zeros(0, dtype=np.int16)

    def push(self, pcm: Int16Array) -> None:
        self._pcm = np.concatenate([self._pcm, pcm])
        while len(self._pcm) >= _WINDOW:
            now = tokens_in(self._pcm[:_WINDOW])
            for token in sorted((now & self._before) - self._heard):
                self._heard.add(token)
                self._on_token(token)
            self._before = now
            self._pcm = self._pcm[_HOP:]


def tokens_in(window: Int16Array) -> set[int]:
    """The tokens that sound in half a second."""
    samples = window.astype(np.float32)
    if float(np.sqrt(np.mean(np.square(samples)))) < _LEAST_RMS:
        return set()
    power = np.square(np.abs(np.fft.rfft(samples * _HANN)))
    near = sum(power[_BINS + offset] for offset in (-1, 0, 1))
    peak = (power[_BINS] >= power[_BINS - 2]) & (power[_BINS] >= power[_BINS + 2])
    total, loudest = float(power.sum()), float(np.max(near))
    found = np.flatnonzero(peak & (near > _WITHIN * total) & (near > 0.05 * loudest) & (loudest > 0.3 * total))
    return {int(token) for token in found}
