"""A recording without its long silences. Imports the codecs, so only those who work on sound import it."""

from collections import deque
from dataclasses import dataclass
from typing import IO, Any, Final

import av
import numpy as np

_RATE: Final = 48_000
_BLOCK: Final = _RATE // 50
_BIT_RATE: Final = 64_000
# A telephone line's noise lies below, quiet speech above.
_QUIET: Final = 10 ** (-45 / 20)
_KEPT_AFTER_S: Final = 0.5
_KEPT_BEFORE_S: Final = 0.25
_BLOCK_S: Final = _BLOCK / _RATE


@dataclass(frozen=True, slots=True)
class Trimmed:
    duration_ms: int
    removed_ms: int


def trim_silence(source: Any, target: IO[bytes]) -> Trimmed:
    """Write `source`, an Ogg/Opus file or path, to `target` with each silence of both sides cut to three quarters of a second.

    Raises av.FFmpegError for what is no sound.
    """
    kept = removed = 0
    with av.open(source) as given, av.open(target, mode="w", format="ogg") as made:
        stream = made.add_stream("libopus", rate=_RATE, layout="stereo")
        stream.bit_rate = _BIT_RATE
        pauses = _Pauses()
        for block in _blocks(given):
            written = pauses.take(block)
            for piece in written:
                _write(made, stream, piece)
            kept += len(written)
        removed = pauses.dropped + pauses.waiting
        made.mux(stream.encode(None))
    return Trimmed(duration_ms=round(kept * _BLOCK_S * 1000), removed_ms=round(removed * _BLOCK_S * 1000))


def duration_ms(source: Any) -> int | None:
    """How long an Ogg/Opus file or path is, by its last packet; None for what is no sound."""
    last = 0.0
    try:
        with av.open(source) as container:
            for packet in container.demux(audio=0):
                if packet.pts is not None and packet.time_base is not None:
                    last = float((packet.pts + (packet.duration or 0)) * packet.time_base)
    except (av.FFmpegError, IndexError):
        return None
    return round(last * 1000)


class _Pauses:
    """Passes blocks on; of a long silence only its first and last parts."""

    def __init__(self) -> None:
        self.dropped = 0
        self._quiet = 0
        self._held: deque[np.ndarray] = deque()

    @property
    def waiting(self) -> int:
        return len(self._held)

    def take(self, block: np.ndarray) -> list[np.ndarray]:
        if float(np.abs(block).max()) >= _QUIET:
            written = [*self._held, block]
            self._held.clear()
            self._quiet = 0
            return written
        self._quiet += 1
        if self._quiet * _BLOCK_S <= _KEPT_AFTER_S:
            return [block]
        self._held.append(block)
        if len(self._held) * _BLOCK_S > _KEPT_BEFORE_S:
            self._held.popleft()
            self.dropped += 1
        return []


def _blocks(container: Any) -> Any:
    """20 ms of both channels at a time, as floats; what is left at the end is filled up with silence."""
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=_RATE, frame_size=_BLOCK)
    for frame in container.decode(audio=0):
        for piece in resampler.resample(frame):
            yield _filled(piece.to_ndarray())
    for piece in resampler.resample(None):
        yield _filled(piece.to_ndarray())


def _filled(samples: np.ndarray) -> np.ndarray:
    short = _BLOCK - samples.shape[1]
    return np.pad(samples, ((0, 0), (0, short))) if short > 0 else samples


def _write(made: Any, stream: Any, block: np.ndarray) -> None:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout="stereo")
    frame.sample_rate = _RATE
    made.mux(stream.encode(frame))
