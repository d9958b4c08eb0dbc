"""A simulated caller's ears: where the agent speaks, when it has finished, and what it said."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from voice_worker.activity import Span, VoiceActivity
from voice_worker.audio import FRAME_S, RATE, Int16Array
from voice_worker.simulation.speech import Hearing

TURN_ENDS_AFTER_S = 0.7
_PIECE_ENDS_AFTER_S = 0.5
_LEAD_S, _TRAIL_S = 0.1, 0.15
_LONGEST_S = 60.0
_NOTICED_S = 0.1


@dataclass(frozen=True, slots=True)
class Stretch:
    span: Span
    text: asyncio.Task[str]


class Listener:
    """Collects the agent's turn stretch by stretch; each is transcribed while the turn may still go on."""

    def __init__(self, hearing: Hearing, *, on_heard: Callable[[Span, str], None]) -> None:
        self._hearing = hearing
        self._on_heard = on_heard
        # Longer than the pauses inside a sentence: pieces of one are hard to understand.
        self._activity = VoiceActivity(hangover_s=_PIECE_ENDS_AFTER_S)
        self._frames: deque[tuple[float, Int16Array]] = deque(maxlen=round(_LONGEST_S / FRAME_S))
        self._turn: list[Stretch] = []
        self._now = 0.0
        self.turns = 0
        self.began_at: float | None = None
        self.last_end: float | None = None

    @property
    def speaking(self) -> bool:
        span = self._activity.current()
        return span is not None and self._now - span.start >= _NOTICED_S

    def agent_frame(self, pcm: Int16Array, at: float) -> None:
        self._frames.append((at, pcm))
        self._take(self._activity.push(pcm, at))

    def tick(self, now: float) -> None:
        self._now = now
        self._take(self._activity.pass_silence(now - 3 * FRAME_S))
        if self.began_at is None and self.speaking and (span := self._activity.current()):
            self.began_at = span.start
            self.turns += 1

    def turn_over(self) -> bool:
        """The agent has spoken and been silent long enough, and its words are understood."""
        if self.last_end is None or not self._turn or self._activity.current():
            return False
        return self._now - self.last_end >= TURN_ENDS_AFTER_S and all(stretch.text.done() for stretch in self._turn)

    def take_turn(self) -> str:
        """The words of the turn that is over. Raises what transcribing raised."""
        words = " ".join(stretch.text.result() for stretch in self._turn).strip()
        self._turn, self.began_at = [], None
        return words

    def forget(self, *, before: float) -> list[Stretch]:
        """Stretches that ended before the caller had finished speaking answer nothing."""
        gone = [stretch for stretch in self._turn if stretch.span.end <= before]
        self._turn = [stretch for stretch in self._turn if stretch.span.end > before]
        if not self._turn and not self._activity.current():
            self.began_at = None
        return gone

    async def finish(self) -> str:
        """The call is over: everything not yet taken."""
        self._take(self._activity.finish())
        await asyncio.wait([stretch.text for stretch in self._turn]) if self._turn else None
        return self.take_turn()

    def cancel(self) -> None:
        for stretch in self._turn:
            stretch.text.cancel()

    def _take(self, spans: list[Span]) -> None:
        for span in spans:
            if self.began_at is None:
                self.began_at = span.start
                self.turns += 1
            self.last_end = span.end
            self._turn.append(Stretch(span, asyncio.create_task(self._understand(span, self._cut_out(span)))))

    async def _understand(self, span: Span, pcm: Int16Array) -> str:
        text = await self._hearing.transcribe(pcm)
        self._on_heard(span, text)
        return text

    def _cut_out(self, span: Span) -> Int16Array:
        begin, end = span.start - _LEAD_S, span.end + _TRAIL_S
        sound = np.zeros(round((end - begin) * RATE), dtype=np.int16)
        while self._frames and self._frames[0][0] + FRAME_S < begin:
            self._frames.popleft()
        for at, pcm in self._frames:
            offset = round((at - begin) * RATE)
            if 0 <= offset < len(sound):
                part = pcm[: len(sound) - offset]
                sound[offset : offset + len(part)] = part
        return sound
