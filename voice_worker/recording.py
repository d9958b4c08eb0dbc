"""A call's recording: Ogg/Opus, caller on the left, agent on the right, playable up to the last second at any time."""

import asyncio
import errno
import hashlib
import logging
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import av
import numpy as np

from voice_worker.audio import RATE, Int16Array

CALLER, AGENT = 0, 1

_BIT_RATE = 64_000
# A page each 200 ms, flushed at once: what a killed process leaves ends within a second of its death.
_OGG = {"page_duration": "200000", "flush_packets": "1"}
_OPUS = {"application": "audio", "vbr": "on", "frame_duration": "20", "compression_level": "5"}
_BLOCK = RATE // 10
_HOLD_S = 0.3
_SNAP = RATE // 200
_AHEAD_S = 2.0
_QUEUED_FRAMES = 3000
_CLOSE_TIMEOUT_S = 15.0

logger = logging.getLogger(__name__)


class Clock(Protocol):
    def now(self) -> float: ...


@dataclass(frozen=True, slots=True)
class RecordingResult:
    """What was written; `error` says why the recording stopped early, `lost_s` how much sound came too late for it."""

    path: Path
    duration_s: float
    size: int
    sha256: str
    error: str = ""
    lost_s: float = 0.0


class Timeline:
    """Two channels on one time axis; whatever nobody placed is silence."""

    def __init__(self) -> None:
        self.cursor = 0
        self.lost = 0
        self._ahead = np.zeros((2, round((_HOLD_S + _AHEAD_S) * RATE) + _BLOCK), dtype=np.int16)
        self._follows = [-RATE, -RATE]

    def place(self, *, channel: int, start: int, pcm: Int16Array) -> None:
        """Frames that nearly touch are joined, so that rounding leaves no click."""
        if abs(start - self._follows[channel]) <= _SNAP:
            start = self._follows[channel]
        self._follows[channel] = start + len(pcm)
        late = min(max(0, self.cursor - start), len(pcm))
        begin = start + late - self.cursor
        room = max(0, self._ahead.shape[1] - begin)
        kept = pcm[late : late + room]
        self._ahead[channel, begin : begin + len(kept)] = kept
        self.lost += len(pcm) - len(kept)

    def take(self, count: int) -> Int16Array:
        """The next `count` samples, interleaved."""
        block = self._ahead[:, :count].T.reshape(1, -1).copy()
        self._ahead[:, :-count] = self._ahead[:, count:]
        self._ahead[:, -count:] = 0
        self.cursor += count
        return block


class OpusFile:
    """Appends interleaved stereo samples at RATE to an Ogg/Opus file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(path), mode="w", format="ogg", options=_OGG)
        self._stream = self._container.add_stream("libopus", rate=RATE, layout="stereo", options=_OPUS)
        self._stream.bit_rate = _BIT_RATE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            return
        with suppress(OSError):
            self._container.close()

    def write(self, block: Int16Array) -> None:
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="stereo")
        frame.sample_rate = RATE
        self._container.mux(self._stream.encode(frame))


def why(error: Exception) -> str:
    """Why a recording stopped, for staff."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of the worker host was full ({error.strerror})."
    return f"{type(error).__name__}: {error}"


class Recorder:
    """A tap that records. It never raises into the call: when writing fails, recording ends and `close` says why.

    What is heard during a pause, or before the start, is silence in the file, so its seconds are the call's.
    """

    def __init__(self, path: Path, clock: Clock, *, starts: bool = True) -> None:
        """With `starts` off there is no file until `resume`."""
        self._path = path
        self._clock = clock
        self._queue: queue.Queue[tuple[int, float, Int16Array] | None] = queue.Queue(_QUEUED_FRAMES)
        self._timeline = Timeline()
        self._closed_at: float | None = None
        self._overflowed = 0
        self.error = ""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._listens = False
        if starts:
            self.resume()

    @property
    def has_begun(self) -> bool:
        return self._thread.ident is not None

    def pause(self) -> None:
        self._listens = False

    def resume(self) -> None:
        if not self.has_begun and self._closed_at is None:
            self._thread.start()
        self._listens = True

    def caller_frame(self, pcm: Int16Array, at: float) -> None:
        self._put(CALLER, pcm=pcm, at=at)

    def agent_frame(self, pcm: Int16Array, at: float) -> None:
        self._put(AGENT, pcm=pcm, at=at)

    def close(self) -> RecordingResult:
        """Write what is left; blocks for up to a second or so, `aclose` does not."""
        if self._closed_at is None:
            self._closed_at = self._clock.now()
        if not self.has_begun:
            return self._result()
        with suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(_CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            self.error = self.error or f"the recorder did not finish within {_CLOSE_TIMEOUT_S:.0f} s"
        return self._result()

    async def aclose(self) -> RecordingResult:
        return await asyncio.to_thread(self.close)

    def _put(self, channel: int, *, pcm: Int16Array, at: float) -> None:
        if not self._listens or self.error or self._closed_at is not None:
            return
        try:
            self._queue.put_nowait((channel, at, pcm))
        except queue.Full:
            self._overflowed += len(pcm)

    def _run(self) -> None:
        try:
            with OpusFile(self._path) as file:
                self._record(file)
        except Exception as error:
            self.error = why(error)
            logger.exception("The recording of %s stopped", self._path)

    def _record(self, file: OpusFile) -> None:
        while True:
            try:
                item = self._queue.get(timeout=_HOLD_S)
            except queue.Empty:
                item = None
                self._write(file, until=self._clock.now() - _HOLD_S)
            if item is not None:
                channel, at, pcm = item
                self._place(file, channel=channel, at=at, pcm=pcm)
            elif self._closed_at is not None and self._queue.empty():
                self._write(file, until=self._closed_at)
                if rest := max(0, round(self._closed_at * RATE) - self._timeline.cursor):
                    file.write(self._timeline.take(rest))
                return

    def _place(self, file: OpusFile, *, channel: int, at: float, pcm: Int16Array) -> None:
        if at > self._clock.now() + _AHEAD_S:
            self._timeline.lost += len(pcm)
            return
        self._write(file, until=at - _HOLD_S)
        self._timeline.place(channel=channel, start=round(at * RATE), pcm=pcm)

    def _write(self, file: OpusFile, *, until: float) -> None:
        """Encode what no frame can still reach."""
        while self._timeline.cursor + _BLOCK <= round(until * RATE):
            file.write(self._timeline.take(_BLOCK))

    def _result(self) -> RecordingResult:
        size, digest = 0, hashlib.sha256()
        with suppress(OSError), self._path.open("rb") as file:
            while piece := file.read(1 << 20):
                size += len(piece)
                digest.update(piece)
        return RecordingResult(
            path=self._path,
            duration_s=self._timeline.cursor / RATE,
            size=size,
            sha256=digest.hexdigest() if size else "",
            error=self.error,
            lost_s=(self._timeline.lost + self._overflowed) / RATE,
        )
