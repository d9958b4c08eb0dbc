"""Changes of sample rate for complete stretches of sound."""

import math

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def resample(samples: Samples, *, source: int, target: int) -> Samples:
    """Band-limited, by the spectrum; the ends are taken to be silent."""
    if source == target or not len(samples):
        return samples
    common = math.gcd(source, target)
    step_in, step_out = source // common, target // common
    blocks = math.ceil(len(samples) / step_in) + 1
    length_in, length_out = blocks * step_in, blocks * step_out
    spectrum = np.fft.rfft(samples, n=length_in)
    kept = min(length_in, length_out) // 2 + 1
    shrunk = np.zeros(length_out // 2 + 1, dtype=np.complex128)
    shrunk[:kept] = spectrum[:kept]
    changed = np.fft.irfft(shrunk, n=length_out) * (length_out / length_in)
    result: Samples = changed[: math.ceil(len(samples) * target / source)].astype(np.float32)
    return result


def to_float(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / np.float32(32768)


def to_pcm(samples: Samples) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
