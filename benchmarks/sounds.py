"""Sound made by arithmetic: what a voice activity detector takes for a person, music, noise, and a telephone line."""

import numpy as np

from voice_worker.audio import RATE, Int16Array
from voice_worker.simulation.speech import resampled

_VOWELS = ((700, 1220, 2600), (300, 2300, 3000), (500, 1000, 2400), (400, 2000, 2550), (320, 900, 2200))
_SYLLABLES_PER_S = 4.5
_RMS = 2300
_TELEPHONE_RATE = 8_000
_TELEPHONE_BAND = (300, 3400)
_MU = 255
_MELODY_HZ = (262, 330, 392, 523, 392, 330, 294, 349, 440, 587, 440, 349)
_NOTE_S = 0.35


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


def over_telephone(pcm: Int16Array) -> Int16Array:
    """What is left of a sound after a telephone line: 300 to 3400 Hz at 8 kHz, in the 256 steps of µ-law."""
    usable = pcm[: len(pcm) - len(pcm) % (2 * RATE // _TELEPHONE_RATE)]
    spectrum = np.fft.rfft(usable.astype(np.float64))
    hertz = np.fft.rfftfreq(len(usable), 1 / RATE)
    spectrum[(hertz < _TELEPHONE_BAND[0]) | (hertz > _TELEPHONE_BAND[1])] = 0
    count = len(usable) * _TELEPHONE_RATE // RATE
    narrow = np.fft.irfft(spectrum[: count // 2 + 1], count) * (_TELEPHONE_RATE / RATE) / 32768
    pressed = np.sign(narrow) * np.log1p(_MU * np.minimum(np.abs(narrow), 1)) / np.log1p(_MU)
    steps = np.round(pressed * 127) / 127
    heard = np.sign(steps) * np.expm1(np.abs(steps) * np.log1p(_MU)) / _MU
    return resampled((heard * 32767).astype(np.int16), _TELEPHONE_RATE)


def melody(seconds: float) -> Int16Array:
    """Notes with overtones, one into the other, over a held chord."""
    at = np.arange(round(seconds * RATE)) / RATE
    notes = np.array(_MELODY_HZ)[(at / _NOTE_S).astype(int) % len(_MELODY_HZ)]
    phase = 2 * np.pi * np.cumsum(notes) / RATE
    tune = sum(np.sin(k * phase) / k**1.5 for k in (1, 2, 3, 4)) * (1 - 0.5 * (at % _NOTE_S) / _NOTE_S)
    chord = sum(np.sin(2 * np.pi * hertz * at) for hertz in (131, 165, 196)) * 0.3
    sound = tune + chord
    return (sound / np.sqrt(np.mean(sound**2)) * _RMS).clip(-32768, 32767).astype(np.int16)


def hiss(seconds: float, *, seed: int = 0) -> Int16Array:
    """Wind or a street: noise that swells and falls."""
    count = round(seconds * RATE)
    noise = np.convolve(np.random.default_rng(seed).standard_normal(count), np.hanning(25), mode="same")
    noise *= 1 + 0.5 * np.sin(2 * np.pi * 0.4 * np.arange(count) / RATE)
    return (noise / np.sqrt(np.mean(noise**2)) * _RMS).clip(-32768, 32767).astype(np.int16)
