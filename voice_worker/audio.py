"""The two directions of a call's audio in real time: what the session hears and what it plays.

Everything runs on timers of the event loop against an absolute schedule; a late wake-up is made good by at most
MAX_BURST frames, anything later moves the schedule, because a telephone line never delivers its past in one piece.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
from livekit import rtc
from livekit.agents.voice import io
from numpy.typing import NDArray

RATE = 24_000
FRAME = 480
FRAME_S = FRAME / RATE
MAX_BURST = 3

Int16Array = NDArray[np.int16]
FrameSink = Callable[[Int16Array, float], None]

_NOISE_PEAK = 8
_UNREAD_FRAMES = 5
_BYTES = 2 * FRAME
_AUDIBLE_STEP = RATE // 100
_AUDIBLE_DB = 30.0
_AUDIBLE_FLOOR = 60.0

logger = logging.getLogger(__name__)


class CallClock:
    """Seconds since the call was answered, unmoved by changes of the wall clock."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._started

    def from_wall(self, timestamp: float) -> float:
        """The call second of a recent `time.time()` value, as the framework's events carry."""
        return self.now() - (time.time() - timestamp)


class Tap(Protocol):
    """Somebody who listens to both directions; frames are read-only and `at` is the call second of the first sample."""

    def caller_frame(self, pcm: Int16Array, at: float) -> None: ...

    def agent_frame(self, pcm: Int16Array, at: float) -> None: ...


class Taps:
    """Passes frames to every tap; one that fails is taken off and the call goes on."""

    def __init__(self) -> None:
        self._taps: list[Tap] = []

    def add(self, tap: Tap) -> None:
        self._taps.append(tap)

    def caller_frame(self, pcm: Int16Array, at: float) -> None:
        for tap in tuple(self._taps):
            self._pass(tap, tap.caller_frame, pcm=pcm, at=at)

    def agent_frame(self, pcm: Int16Array, at: float) -> None:
        for tap in tuple(self._taps):
            self._pass(tap, tap.agent_frame, pcm=pcm, at=at)

    def _pass(self, tap: Tap, take: FrameSink, *, pcm: Int16Array, at: float) -> None:
        try:
            take(pcm, at)
        except Exception:
            self._taps.remove(tap)
            logger.exception("%s failed and no longer hears the call", type(tap).__name__)


def audible_span(pcm: Int16Array) -> tuple[int, int] | None:
    """First and one-past-last sample that can be heard (within 30 dB of the loudest 10 ms), or None for silence."""
    steps = -(-len(pcm) // _AUDIBLE_STEP)
    padded = np.zeros(steps * _AUDIBLE_STEP, dtype=np.float32)
    padded[: len(pcm)] = pcm
    level = np.sqrt(np.mean(np.square(padded.reshape(steps, _AUDIBLE_STEP)), axis=1)) if steps else np.zeros(0)
    loudest = float(level.max(initial=0.0))
    heard = np.flatnonzero(level >= max(loudest * 10 ** (-_AUDIBLE_DB / 20), _AUDIBLE_FLOOR))
    if not len(heard):
        return None
    return int(heard[0]) * _AUDIBLE_STEP, min(int(heard[-1] + 1) * _AUDIBLE_STEP, len(pcm))


class Utterance:
    """One stretch of speech on its way into the line; times are call seconds of its audible samples."""

    def __init__(self, pcm: Int16Array) -> None:
        self.pcm = pcm
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.cut = False
        self._span = audible_span(pcm) or (0, 0)
        self._sent = 0
        self._spoken = asyncio.Event()
        if self._span == (0, 0):
            self._spoken.set()

    async def spoken(self) -> None:
        """Returns once the last audible sample has left, or the utterance was cut."""
        await self._spoken.wait()

    def take(self, at: float) -> Int16Array:
        """The next frame's samples, fewer at the end."""
        first, last = self._span
        begin, self._sent = self._sent, min(self._sent + FRAME, len(self.pcm))
        if begin <= first < self._sent:
            self.started_at = at + (first - begin) / RATE
        if first < self._sent:
            self.ended_at = at + (min(last, self._sent) - begin) / RATE if begin < last else self.ended_at
        return self.pcm[begin : self._sent]

    def mark_left(self) -> None:
        if self._sent >= self._span[1]:
            self._spoken.set()

    def mark_cut(self) -> None:
        self.cut = True
        self._spoken.set()

    @property
    def exhausted(self) -> bool:
        return self._sent >= len(self.pcm)


class PacedInput(io.AudioInput):
    """A caller's line: a frame each 20 ms, queued utterances over quiet line noise and an optional background.

    A frame that nobody reads is lost after 100 ms, as on a telephone nobody listens to.
    """

    def __init__(self, clock: CallClock, *, heard: FrameSink) -> None:
        super().__init__(label="PacedInput")
        self._clock = clock
        self._heard = heard
        self._noise = np.random.default_rng(1).integers(-_NOISE_PEAK, _NOISE_PEAK + 1, (50, FRAME)).astype(np.int16)
        self._frames = 0
        self._queue: deque[Utterance] = deque()
        self._background: deque[Int16Array] = deque()
        self._on_the_line: tuple[Int16Array, float, Utterance | None] | None = None
        self._unread: deque[rtc.AudioFrame] = deque(maxlen=_UNREAD_FRAMES)
        self._reader: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._offset = 0.0
        self._closed = False

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time()
        self._offset = self._clock.now() - self._due
        self._tick()

    def say(self, pcm: Int16Array) -> Utterance:
        utterance = Utterance(pcm)
        self._queue.append(utterance)
        return utterance

    def play_background(self, pcm: Int16Array) -> None:
        """Sound mixed under whatever is said, after any background still playing."""
        self._background.extend(pcm[begin : begin + FRAME] for begin in range(0, len(pcm), FRAME))

    def hush(self) -> None:
        """The speaker stops at once; what was queued is never said."""
        while self._queue:
            self._queue.popleft().mark_cut()

    def close(self) -> None:
        self._closed = True
        if self._timer:
            self._timer.cancel()
        self.hush()
        self._wake_reader()

    async def __anext__(self) -> rtc.AudioFrame:
        while not self._unread:
            if self._closed:
                raise StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._unread.popleft()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._due > MAX_BURST * FRAME_S:
            self._due = loop.time()
        self._deliver()
        self._on_the_line = self._compose(at=self._due + self._offset)
        self._due += FRAME_S
        self._timer = loop.call_at(self._due, self._tick)

    def _deliver(self) -> None:
        """A frame reaches the session when its last sample has sounded."""
        if self._on_the_line is None:
            return
        pcm, at, utterance = self._on_the_line
        self._unread.append(rtc.AudioFrame(pcm.tobytes(), RATE, 1, FRAME))
        self._wake_reader()
        self._heard(pcm, at)
        if utterance:
            utterance.mark_left()

    def _compose(self, *, at: float) -> tuple[Int16Array, float, Utterance | None]:
        noise = self._noise[self._frames % len(self._noise)]
        self._frames += 1
        utterance = self._queue[0] if self._queue else None
        layers = [utterance.take(at)] if utterance else []
        if utterance and utterance.exhausted:
            self._queue.popleft()
        if self._background:
            layers.append(self._background.popleft())
        if not layers:
            return noise, at, None
        mixed = noise.astype(np.int32)
        for layer in layers:
            mixed[: len(layer)] += layer
        np.clip(mixed, -32768, 32767, out=mixed)
        return mixed.astype(np.int16), at, utterance

    def _wake_reader(self) -> None:
        if self._reader and not self._reader.done():
            self._reader.set_result(None)


class _Segment:
    """What the session captured between two flushes."""

    __slots__ = ("cleared", "flushed", "pcm", "played", "reported")

    def __init__(self) -> None:
        self.pcm = bytearray()
        self.played = 0
        self.flushed = False
        self.cleared = False
        self.reported = False

    @property
    def playable(self) -> bool:
        return len(self.pcm) >= _BYTES or (self.flushed and len(self.pcm) > 0)

    @property
    def over(self) -> bool:
        return self.cleared or (self.flushed and not self.pcm)


class PlayedOutput(io.AudioOutput):
    """A real-time player: every captured segment ends in exactly one `playback_finished` with the position it reached."""

    def __init__(self, clock: CallClock, *, heard: FrameSink) -> None:
        super().__init__(label="PlayedOutput", capabilities=io.AudioOutputCapabilities(pause=True), sample_rate=RATE)
        self._clock = clock
        self._heard = heard
        self._segments: deque[_Segment] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._paused = False
        self._closed = False

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        if frame.sample_rate != RATE or frame.num_channels != 1:
            raise ValueError(f"expected {RATE} Hz mono, got {frame.sample_rate} Hz with {frame.num_channels} channels")
        await super().capture_frame(frame)
        if not self._segments or self._segments[-1].flushed:
            self._segments.append(_Segment())
        segment = self._segments[-1]
        if self._closed:
            self.clear_buffer()
        if not segment.cleared:
            segment.pcm += frame.data.cast("B")
            self._wake()

    def flush(self) -> None:
        super().flush()
        if self._segments:
            self._segments[-1].flushed = True
            self._wake()
            asyncio.get_running_loop().call_soon(self._settle)

    def clear_buffer(self) -> None:
        for segment in self._segments:
            segment.pcm.clear()
            segment.cleared = True
        if self._segments:
            asyncio.get_running_loop().call_soon(self._settle)

    def pause(self) -> None:
        super().pause()
        self._paused = True

    def resume(self) -> None:
        super().resume()
        self._paused = False
        self._wake()

    def close(self) -> None:
        self._closed = True
        if self._timer:
            self._timer.cancel()
        self.clear_buffer()

    def _wake(self) -> None:
        if self._timer or self._paused or self._closed:
            return
        loop = asyncio.get_running_loop()
        self._due = max(self._due, loop.time())
        self._timer = loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._settle()
        segment = self._segments[0] if self._segments else None
        if segment is None or self._paused or not segment.playable:
            return
        loop = asyncio.get_running_loop()
        if loop.time() - self._due > MAX_BURST * FRAME_S:
            self._due = loop.time()
        self._play(segment, at=self._clock.now() - (loop.time() - self._due))
        self._due += FRAME_S
        self._timer = loop.call_at(self._due, self._tick)

    def _play(self, segment: _Segment, *, at: float) -> None:
        samples = bytes(segment.pcm[:_BYTES])
        del segment.pcm[:_BYTES]
        first = segment.played == 0
        segment.played += len(samples) // 2
        self._heard(np.frombuffer(samples.ljust(_BYTES, b"\0"), dtype=np.int16), at)
        if first:
            self.on_playback_started(created_at=time.time())

    def _settle(self) -> None:
        """Report the segments that are over; a played one only once its last frame has sounded.

        A cleared segment stays until its flush, because frames captured before that still belong to it.
        """
        now = asyncio.get_running_loop().time()
        while self._segments and self._segments[0].over:
            segment = self._segments[0]
            if not segment.cleared and segment.played and now < self._due - FRAME_S / 10:
                return
            if not segment.reported:
                segment.reported = True
                self.on_playback_finished(playback_position=segment.played / RATE, interrupted=segment.cleared)
            if not segment.flushed:
                return
            self._segments.popleft()
