"""Sound that a voice activity detector takes for a person, without any speech synthesis."""

import numpy as np

from voice_worker.audio import RATE, Int16Array

_FORMANTS = ((700, 90), (1220, 110), (2600, 160))
_RMS = 2300


def voice_like(seconds: float) -> Int16Array:
    """An "aah" with the melody and the rhythm of speech: harmonics of a moving pitch, weighted by a vowel's formants."""
    at = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 * (1 + 0.08 * np.sin(2 * np.pi * 2.3 * at))) / RATE
    sound = np.zeros(len(at))
    for harmonic in range(1, 30):
        sound += _vowel_gain(120 * harmonic) / harmonic * np.sin(harmonic * phase)
    sound *= 0.6 - 0.4 * np.cos(2 * np.pi * 4 * at)
    return (sound / np.sqrt(np.mean(sound**2)) * _RMS).clip(-32768, 32767).astype(np.int16)


def _vowel_gain(hertz: float) -> float:
    return sum(width**2 / ((hertz - centre) ** 2 + width**2) for centre, width in _FORMANTS) + 0.01
