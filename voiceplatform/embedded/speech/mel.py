"""Whisper's front end: log-mel spectrogram of 80 bands at 16 kHz, in numpy."""

import numpy as np
from numpy.typing import NDArray

from voiceplatform.embedded.speech.resample import Samples

RATE = 16_000
HOP = 160
_WINDOW = 400
_BANDS = 80


def log_mel(samples: Samples, *, frames: int) -> NDArray[np.float32]:
    """Shape (80, frames); what lies beyond the sound is silence."""
    padded = np.zeros(frames * HOP + _WINDOW, dtype=np.float32)
    heard = samples[: frames * HOP]
    padded[_WINDOW // 2 : _WINDOW // 2 + len(heard)] = heard
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][:frames]
    power = np.abs(np.fft.rfft(windows * _HANN, axis=1)) ** 2
    logarithm = np.log10(np.maximum(_FILTERS @ power.T, 1e-10))
    logarithm = np.maximum(logarithm, logarithm.max() - 8.0)
    return np.ascontiguousarray((logarithm + 4.0) / 4.0, dtype=np.float32)


def _hertz_to_mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = hertz / (200.0 / 3)
    logarithmic = 15.0 + np.log(np.maximum(hertz, 1e-10) / 1000.0) / (np.log(6.4) / 27.0)
    return np.where(hertz >= 1000.0, logarithmic, linear)


def _mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mel * (200.0 / 3)
    logarithmic = 1000.0 * np.exp((np.log(6.4) / 27.0) * (mel - 15.0))
    return np.where(mel >= 15.0, logarithmic, linear)


def _filters() -> NDArray[np.float32]:
    """Triangles on the Slaney mel scale, each of equal area."""
    bins = np.fft.rfftfreq(_WINDOW, 1 / RATE)
    limits = _hertz_to_mel(np.array([0.0, RATE / 2]))
    edges = _mel_to_hertz(np.linspace(limits[0], limits[1], _BANDS + 2))
    widths = np.diff(edges)
    slopes = edges[:, None] - bins[None, :]
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


_HANN = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
_FILTERS = _filters()
