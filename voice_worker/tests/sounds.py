"""Signals made for tests."""

import numpy as np

from voice_worker.audio import RATE, Int16Array


def silence(seconds: float) -> Int16Array:
    return np.zeros(round(seconds * RATE), dtype=np.int16)


def tone(seconds: float, *, level: float = 3000, hertz: float = 220) -> Int16Array:
    at = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * at)).astype(np.int16)


def noise(seconds: float, *, rms: float, seed: int = 0) -> Int16Array:
    return (np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * rms).clip(-32768, 32767).astype(np.int16)


def speechlike(seconds: float, *, rms: float = 2000, seed: int = 0) -> Int16Array:
    """Noise with the rhythm of syllables: five a second, never silent inside, sharp at both ends."""
    count = round(seconds * RATE)
    generator = np.random.default_rng(seed)
    rhythm = 0.35 + 0.65 * np.abs(np.sin(np.pi * 5 * np.arange(count) / RATE + generator.uniform(0, np.pi)))
    sound = generator.standard_normal(count) * rhythm
    return (sound / np.sqrt(np.mean(sound**2)) * rms).clip(-32768, 32767).astype(np.int16)


def laid_out(seconds: float, *pieces: tuple[float, Int16Array]) -> Int16Array:
    """Sounds at their times on a silent track, added where they meet."""
    track = np.zeros(round(seconds * RATE), dtype=np.int32)
    for at, sound in pieces:
        begin = round(at * RATE)
        track[begin : begin + len(sound)] += sound[: len(track) - begin]
    return np.clip(track, -32768, 32767).astype(np.int16)


def rms_of(db: float) -> float:
    """The amplitude that lies `db` below full scale."""
    return float(32768 * 10 ** (db / 20))
