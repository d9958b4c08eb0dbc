"""When somebody speaks, told from the energy of one audio channel alone."""

import math
from bisect import insort
from collections import deque
from dataclasses import dataclass

import numpy as np

from voice_worker.audio import RATE, Int16Array

_WINDOW = RATE // 100
_WINDOW_S = _WINDOW / RATE
_FULL_SCALE = _WINDOW * 2.0**30
_QUIETEST_DB = -100.0
_ABSOLUTE_DB = -62.0
_ABOVE_FLOOR_DB = 8.0
_CORE_DB, _EDGE_DB = 18.0, 30.0
_LEADS_S, _TRAILS_S = 0.12, 0.2
_FAINTER_DB = 14.0
_CLICK_WINDOWS = 3
BATCH = 5
_LEAST_WINDOWS = 5
_FLOOR_BLOCK, _FLOOR_BLOCKS = 25, 10
_FLOOR_RISE_DB = 1.0
_STEADY_DB = 6.0
_LOWEST_FLOOR_DB, _LOUDEST_LINE_DB, _HIGHEST_FLOOR_DB = -70.0, -45.0, -30.0
_BACKGROUND_DECAY_DB = 0.5


@dataclass(frozen=True, slots=True)
class Span:
    """Call seconds from the first to the last audible sample."""

    start: float
    end: float

    def overlap(self, other: "Span") -> float:
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))


class NoiseFloor:
    """The quietest moments of the last seconds; it falls at once and rises slowly while somebody seems to speak."""

    def __init__(self) -> None:
        self.db = _LOWEST_FLOOR_DB
        self._lows: deque[float] = deque(maxlen=_FLOOR_BLOCKS)
        self._low, self._high = 0.0, _QUIETEST_DB
        self._count = 0

    def take(self, level: float, *, speaking: bool) -> None:
        self._low, self._high = min(self._low, level), max(self._high, level)
        self._count += 1
        if self._count % _FLOOR_BLOCK:
            return
        self._lows.append(self._low)
        steady = self._high - self._low < _STEADY_DB
        self._low, self._high = 0.0, _QUIETEST_DB
        lowest = max(min(*self._lows, _HIGHEST_FLOOR_DB), _LOWEST_FLOOR_DB)
        if len(self._lows) == 1:
            # What is there from the first moment is the line, unless it is as lively and loud as a voice.
            self.db = lowest if steady else min(lowest, _LOUDEST_LINE_DB)
            return
        rise = _FLOOR_RISE_DB * _FLOOR_BLOCK * _WINDOW_S * (1 if speaking else 20)
        self.db = min(lowest, self.db + rise)


class VoiceActivity:
    """Finds the stretches of speech of one channel.

    A stretch ends after `hangover_s` without sound near its own loudness, so a television far below the speaker
    neither starts nor prolongs it; sounds shorter than 50 ms are clicks.
    """

    def __init__(self, *, hangover_s: float = 0.3) -> None:
        self._hangover_s = hangover_s
        self._floor = NoiseFloor()
        self._background = _QUIETEST_DB
        self._loudness: float | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=round(_LEADS_S / _WINDOW_S))
        self._stretch: list[tuple[float, float]] = []
        self._loudest: list[float] = []
        self._last_core = 0.0
        self._heard_until: float | None = None

    def push(self, pcm: Int16Array, at: float) -> list[Span]:
        """Stretches that ended with this sound; what was missing before it counts as silence."""
        ended = self.pass_silence(at)
        usable = len(pcm) - len(pcm) % _WINDOW
        windows = pcm[:usable].reshape(-1, _WINDOW).astype(np.float32)
        for index, energy in enumerate(np.einsum("ij,ij->i", windows, windows).tolist()):
            level = 10 * math.log10(energy / _FULL_SCALE) if energy > 0 else _QUIETEST_DB
            ended += self._window(at + index * _WINDOW_S, max(level, _QUIETEST_DB))
        self._heard_until = at + len(pcm) / RATE
        return ended

    def pass_silence(self, until: float) -> list[Span]:
        """Nothing sounded up to `until`."""
        if self._heard_until is None:
            self._heard_until = until
        ended: list[Span] = []
        # Beyond the hangover, silence brings nothing new.
        count = int((until - self._heard_until) / _WINDOW_S + 0.5)
        for index in range(min(count, round(self._hangover_s / _WINDOW_S) + _FLOOR_BLOCK)):
            ended += self._window(self._heard_until + index * _WINDOW_S, _QUIETEST_DB)
        self._heard_until = max(self._heard_until, until)
        return ended

    @property
    def is_open(self) -> bool:
        """Whether a stretch is going on."""
        return bool(self._stretch)

    def current(self) -> Span | None:
        """The stretch going on, as far as it has come; it may still prove to be a click."""
        return self._edges() if self._stretch else None

    def finish(self) -> list[Span]:
        return self._close() if self._stretch else []

    def _window(self, at: float, level: float) -> list[Span]:
        threshold = max(self._floor.db + _ABOVE_FLOOR_DB, _ABSOLUTE_DB, self._background + 2)
        self._floor.take(level, speaking=bool(self._stretch))
        self._background = max(_QUIETEST_DB, self._background - _BACKGROUND_DECAY_DB * _WINDOW_S)
        if not self._stretch:
            if level >= threshold:
                self._open(at, level)
            else:
                self._recent.append((at, level))
            return []
        self._stretch.append((at, level))
        self._keep_loudest(level)
        if level >= max(threshold, self._peak - _CORE_DB):
            self._last_core = at
            return []
        return self._close() if at - self._last_core >= self._hangover_s else []

    def _open(self, at: float, level: float) -> None:
        self._stretch = [*self._recent, (at, level)]
        self._recent.clear()
        self._loudest = [level]
        self._last_core = at

    def _keep_loudest(self, level: float) -> None:
        insort(self._loudest, level)
        if len(self._loudest) > _CLICK_WINDOWS + 1:
            del self._loudest[0]

    @property
    def _peak(self) -> float:
        """The loudness of a stretch but for its few loudest windows, which may be a click."""
        return self._loudest[0]

    def _close(self) -> list[Span]:
        span, peak, core = self._edges(), self._peak, len(self._core())
        self._recent.extend(self._stretch)
        self._stretch = []
        if span is None or core < _LEAST_WINDOWS or len(self._loudest) <= _CLICK_WINDOWS:
            return []
        if self._loudness is not None and peak < self._loudness - _FAINTER_DB:
            self._background = max(self._background, peak)
            return []
        self._loudness = peak if self._loudness is None else 0.7 * self._loudness + 0.3 * peak
        return [span]

    @property
    def _faintest(self) -> float:
        return max(self._peak - _EDGE_DB, self._floor.db + _ABOVE_FLOOR_DB, _ABSOLUTE_DB, self._background + 2)

    def _core(self) -> list[float]:
        """The windows that certainly belong to the stretch."""
        threshold = max(self._peak - _CORE_DB, self._faintest)
        return [at for at, level in self._stretch if level >= threshold]

    def _edges(self) -> Span | None:
        core = self._core()
        if not core:
            return None
        begin, end, faintest = core[0] - _LEADS_S, core[-1] + _TRAILS_S, self._faintest
        audible = [at for at, level in self._stretch if level >= faintest and begin <= at <= end]
        return Span(audible[0], audible[-1] + _WINDOW_S)


class FrameBatch:
    """Frames kept until there are BATCH of them, for arithmetic on a few samples costs as much as on many."""

    def __init__(self, activity: VoiceActivity) -> None:
        self._activity = activity
        self._frames: list[Int16Array] = []
        self._begins = self._ends = 0.0

    def add(self, pcm: Int16Array, at: float) -> list[Span]:
        """Stretches that ended with the frames before this one, when it does not follow them at once."""
        ended = [] if not self._frames or abs(at - self._ends) < _WINDOW_S / 2 else self.flush()
        if not self._frames:
            self._begins = at
        self._frames.append(pcm)
        self._ends = at + len(pcm) / RATE
        return ended

    @property
    def is_full(self) -> bool:
        return len(self._frames) >= BATCH

    def flush(self) -> list[Span]:
        """Stretches that ended with all frames so far."""
        if not self._frames:
            return []
        pcm, self._frames = np.concatenate(self._frames), []
        return self._activity.push(pcm, self._begins)
