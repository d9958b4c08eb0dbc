"""Sound that a voice activity detector takes for a person, without any speech synthesis."""

import numpy as np

from voice_worker.audio import RATE, Int16Array

_VOWELS = ((700, 1220, 2600), (300, 2300, 3000), (500, 1000, 2400), (400, 2000, 2550), (320, 900, 2200))
_SYLLABLES_PER_S = 4.5
_RMS = 2300


def voice_like(seconds: float, *, seed: int = 0) -> Int16Array:
    """Syllables: a hiss, then a vowel on a falling, trembling pitch; short enough together to be one utterance."""
    generator = np.random.default_rng(seed)
    count = round(seconds * _SYLLABLES_PER_S)
    pitches = np.linspace(150, 100, count) * generator.uniform(0.93, 1.07, count)
    syllables = [_syllable(generator, pitch=pitch, vowel=_VOWELS[generator.integers(len(_VOWELS))]) for pitch in pitches]
    sound = np.concatenate(syllables)
    return (sound / np.sqrt(np.mean(sound**2)) * _RMS).clip(-32768, 32767).astype(np.int16)


def _syllable(generator: np.random.Generator, *, pitch: float, vowel: tuple[int, ...]) -> np.ndarray:
    at = np.arange(round(RATE / _SYLLABLES_PER_S)) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1.05 - 0.5 * at + 0.01 * np.sin(2 * np.pi * 5.5 * at))) / RATE
    voiced = sum(_gain(pitch * k, vowel) / k * np.sin(k * phase) for k in range(1, int(4500 / pitch)))
    hiss = np.diff(generator.standard_normal(len(at) + 1)) * 0.02
    part = at * _SYLLABLES_PER_S
    opening = np.clip((part - 0.15) / 0.15, 0, 1) * np.clip((1 - part) / 0.25, 0.15, 1)
    return voiced * opening + hiss * (part < 0.2) + generator.standard_normal(len(at)) * 0.002


def _gain(hertz: float, vowel: tuple[int, ...]) -> float:
    return sum(80**2 / ((hertz - centre) ** 2 + 80**2) for centre in vowel) + 0.01
