"""What counts as the caller speaking: not a television far away, not an "mhm" while the agent speaks."""

import re
from collections import deque
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Final, Self, cast

import numpy as np
from livekit import rtc
from livekit.agents import stt, utils, vad

_FAINTER_DB: Final = 13.0
_QUIETEST_DB: Final = -50.0
_LOUDNESS_WINDOWS: Final = 6
_LEARNS: Final = 0.3
_HUMS: Final = re.compile(r"m+h?m+|h+m+|m+|u+h+|h+u+h+|a+h+|o+h+|e+h+", re.IGNORECASE)
_ASSENTS: Final = re.compile(r"yeah|yep|yes|ok|okay|right|sure|see|i|got|it|alright|ja|genau|sí|oui", re.IGNORECASE)
# What a recogniser that only knows words makes of a hum: "Mom.", "Mama", "Emma", "Moon".
_HUMMED: Final = re.compile(r"(?=\w*m)[mnhaeiou]+", re.IGNORECASE)
_LONGEST_BACKCHANNEL_WORDS: Final = 3
_DOUBTFUL, _LONGEST_DOUBTFUL_WORDS = 0.5, 2


def is_backchannel(text: str, *, answers: bool = False, confidence: float = 0.0) -> bool:
    """Whether these words, said while the agent spoke, only say that somebody is listening.

    To a question, a yes is an answer, and so is a word that was hardly understood. `confidence` is the recogniser's,
    between 0 and 1; 0 means that it tells none.
    """
    words = re.sub(r"[^\w\s]", " ", text).split()
    if len(words) > _LONGEST_BACKCHANNEL_WORDS:
        return False
    if not answers and 0 < confidence < _DOUBTFUL and len(words) <= _LONGEST_DOUBTFUL_WORDS:
        return True
    return all(_HUMS.fullmatch(word) or (not answers and (_ASSENTS.fullmatch(word) or _HUMMED.fullmatch(word))) for word in words)


def loudness_db(samples: np.ndarray) -> float:
    exact = samples.astype(np.float32)
    power = float(exact.dot(exact)) / len(samples) if len(samples) else 0.0
    return 10 * float(np.log10(power / 2**30)) if power > 0 else -100.0


class CallerLoudness:
    """How loud this caller speaks, learnt from what was taken for speech."""

    def __init__(self) -> None:
        self._usual: float | None = None

    def is_near(self, loudness: float) -> bool:
        """Whether somebody this loud may be the caller, and not somebody far behind them."""
        return loudness >= max(_QUIETEST_DB, (self._usual if self._usual is not None else -100.0) - _FAINTER_DB)

    def learn(self, loudness: float) -> None:
        self._usual = loudness if self._usual is None else (1 - _LEARNS) * self._usual + _LEARNS * loudness


class NearVAD(vad.VAD):
    """Another detector's events, without the speech of those who are much quieter than the caller."""

    def __init__(self, inner: vad.VAD) -> None:
        super().__init__(capabilities=inner.capabilities)
        self._inner = inner
        self._loudness = CallerLoudness()

    @property
    def inner(self) -> vad.VAD:
        """For somebody who is not the caller."""
        return self._inner

    @property
    def model(self) -> str:
        return self._inner.model

    @property
    def provider(self) -> str:
        return self._inner.provider

    @property
    def min_silence_duration(self) -> float | None:
        """What the framework reads from a detector to compute when speech ended."""
        found: float | None = getattr(self._inner, "min_silence_duration", None)
        return found

    def stream(self) -> vad.VADStream:
        return cast(vad.VADStream, _NearStream(self._inner.stream(), loudness=self._loudness))


class _NearStream:
    """Judges as events are asked for: the base class would run two more tasks for each of 31 events a second."""

    def __init__(self, inner: vad.VADStream, *, loudness: CallerLoudness) -> None:
        self._inner = inner
        self._passed: deque[vad.VADEvent] = deque()
        self._loudness = loudness
        self._windows: deque[float] = deque(maxlen=_LOUDNESS_WINDOWS)
        self._held: vad.VADEvent | None = None
        self._peak = -100.0
        self._near = False

    def push_frame(self, frame: rtc.AudioFrame) -> None:
        self._inner.push_frame(frame)

    def flush(self) -> None:
        self._held, self._near = None, False
        self._inner.flush()

    def end_input(self) -> None:
        self._inner.end_input()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> vad.VADEvent:
        while not self._passed:
            self._passed.extend(self._judge(await anext(self._inner)))
        return self._passed.popleft()

    def _judge(self, event: vad.VADEvent) -> list[vad.VADEvent]:
        if event.type is vad.VADEventType.START_OF_SPEECH:
            self._held, self._near, self._peak = event, False, -100.0
            return self._start_when_near()
        if event.type is vad.VADEventType.END_OF_SPEECH:
            return self._end(event)
        self._windows.append(loudness_db(np.frombuffer(event.frames[0].data, dtype=np.int16)) if event.frames else -100.0)
        started = self._start_when_near() if self._held else []
        if event.speaking and not self._near:
            event.speaking, event.speech_duration, event.raw_accumulated_speech = False, 0.0, 0.0
        elif self._near:
            self._peak = max(self._peak, self._recent)
        return [*started, event]

    @property
    def _recent(self) -> float:
        """The level of the last 200 ms, in which one syllable at least is loud."""
        return max(self._windows, default=-100.0)

    def _start_when_near(self) -> list[vad.VADEvent]:
        if self._held is None or not self._loudness.is_near(self._recent):
            return []
        event, self._held, self._near = self._held, None, True
        return [event]

    def _end(self, event: vad.VADEvent) -> list[vad.VADEvent]:
        near, self._near, self._held = self._near, False, None
        if near:
            self._loudness.learn(self._peak)
        return [event] if near else []


@dataclass(frozen=True, slots=True)
class HeardWord:
    """Seconds are the recogniser's own."""

    text: str
    started_s: float
    ended_s: float


class Filtered:
    """Passes speech events on, but for words that were only said to show attention while the agent spoke."""

    def __init__(self) -> None:
        self.agent_spoke = False
        self.agent_asked = False
        self.dropped: deque[str] = deque(maxlen=20)
        self._words: list[HeardWord] = []

    def take_words(self) -> list[HeardWord]:
        """The words of what was heard last, once, where the recogniser tells their times."""
        words, self._words = self._words, []
        return words

    async def run(self, events: AsyncIterable[stt.SpeechEvent | str]) -> AsyncIterable[stt.SpeechEvent | str]:
        async for event in events:
            if not self._is_to_be_dropped(event):
                self._note_words(event)
                yield event

    def _note_words(self, event: stt.SpeechEvent | str) -> None:
        if isinstance(event, str) or event.type is not stt.SpeechEventType.FINAL_TRANSCRIPT or not event.alternatives:
            return
        told = event.alternatives[0].words or []
        for word in told:
            if utils.is_given(word.start_time) and utils.is_given(word.end_time):
                self._words.append(HeardWord(str(word).strip(), float(word.start_time), float(word.end_time)))

    def _is_to_be_dropped(self, event: stt.SpeechEvent | str) -> bool:
        if isinstance(event, str) or not event.alternatives or not self.agent_spoke:
            return False
        if event.type is not stt.SpeechEventType.FINAL_TRANSCRIPT:
            return False
        heard = event.alternatives[0]
        if not is_backchannel(heard.text, answers=self.agent_asked, confidence=heard.confidence):
            return False
        self.dropped.append(heard.text)
        return True
