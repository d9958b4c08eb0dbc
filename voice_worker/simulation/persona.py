"""A simulated caller at work: listens, thinks, speaks into the line, hangs up."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from agents.personas import Noise, Persona, Words
from voice_worker.activity import Span
from voice_worker.audio import FRAME_S, RATE, Int16Array, PacedInput, Utterance
from voice_worker.simulation.listener import Listener
from voice_worker.simulation.log import PersonaLog
from voice_worker.simulation.mind import Mind, Reply, words_of
from voice_worker.simulation.noise import SPEECH_RMS, at_level, make_noise, trimmed
from voice_worker.simulation.speech import Hearing, Speaking, SpeechError

LEFT_CALLER = "caller_hung_up"
LEFT_SPEECH_FAILED = "speech_failed"

_FINISHES_WITHIN_S = 10.0

Cue = tuple[str, str]


class Caller:
    """One persona in one call. A tap: it hears the agent as it was played and keeps time by its own line."""

    def __init__(
        self,
        *,
        persona: Persona,
        line: PacedInput,
        hearing: Hearing,
        speaking: Speaking,
        log: PersonaLog,
        leave: Callable[[str], None],
    ) -> None:
        self._persona, self._line, self._speaking, self._log, self._leave = persona, line, speaking, log, leave
        self._mind = Mind(persona)
        self._listener = Listener(hearing, on_heard=self._note_heard)
        self._spoken: dict[str, Int16Array] = {}
        self._noises: list[tuple[Noise, Int16Array]] = []
        self._saying: deque[tuple[str, str, Utterance]] = deque()
        self._ticked = asyncio.Event()
        self._now = 0.0
        self._said_until = 0.0
        self._quiet_from = 0.0
        self._leaves_at: float | None = None

    async def prepare(self, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Speak every line once beforehand, so that no answer waits for synthesis."""
        texts = list(dict.fromkeys(text for words in words_of(self._persona) for text in self._texts(words)))
        for done, text in enumerate(texts):
            progress(done, len(texts))
            await self._voice(text)
        for noise in self._persona.noises:
            sound = await make_noise(noise, speaking=self._speaking, voice=self._persona.voice)
            self._noises.append((noise, sound))
        progress(len(texts), len(texts))

    def caller_frame(self, pcm: Int16Array, at: float) -> None:
        self._now = at + FRAME_S
        self._listener.tick(self._now)
        self._play_noises()
        self._ticked.set()

    def agent_frame(self, pcm: Int16Array, at: float) -> None:
        self._listener.agent_frame(pcm, at)

    async def run(self) -> None:
        """The whole conversation, until somebody hangs up."""
        try:
            while await self._react(*await self._cue()):
                pass
        except SpeechError as error:
            self._log.write("event", at=round(self._now, 3), kind=LEFT_SPEECH_FAILED, detail=str(error))
            self._leave(LEFT_SPEECH_FAILED)

    async def finish(self, reason: str) -> None:
        """Hear out what was said last and close the account."""
        while self._saying:
            self._note_spoken()
        try:
            self._mind.note_goals(await asyncio.wait_for(self._listener.finish(), _FINISHES_WITHIN_S))
        except (SpeechError, TimeoutError) as error:
            self._log.write("event", at=round(self._now, 3), kind=LEFT_SPEECH_FAILED, detail=str(error))
        self._listener.cancel()
        self._log.write("end", at=round(self._now, 3), reason=reason, reached=self._mind.reached)

    async def _cue(self) -> Cue:
        while (cue := self._find_cue()) is None:
            self._ticked.clear()
            await self._ticked.wait()
        return cue

    def _find_cue(self) -> Cue | None:
        if self._listener.turn_over():
            self._quiet_from = self._now
            return "turn", self._listener.take_turn()
        if self._listener.speaking:
            self._quiet_from = self._now
            return ("interrupt", "") if self._interrupts() else None
        if self._leaves_at is not None and self._now >= self._leaves_at:
            return "leave", ""
        if self._now - self._quiet_from > self._persona.patience_s:
            self._quiet_from = self._now
            return "silence", ""
        return None

    def _interrupts(self) -> bool:
        step, began = self._mind.next_step, self._listener.began_at
        if step is None or step.interrupts_after_s is None or began is None or self._mind.closing:
            return False
        return began >= self._said_until and self._now - began >= step.interrupts_after_s

    async def _react(self, cue: str, text: str) -> bool:
        """Do what the cue calls for; False once the caller has hung up."""
        if cue == "turn":
            reply = self._mind.hear(text)
        elif cue == "interrupt":
            reply = self._mind.interrupt()
        else:
            reply = self._mind.hear_nothing() if cue == "silence" else Reply("leave", why="done")
        if reply.move == "leave":
            self._log.write("event", at=round(self._now, 3), kind=LEFT_CALLER, why=reply.why)
            self._leave(LEFT_CALLER)
            return False
        if reply.move == "say":
            await self._stay_silent(reply.after_s)
            await self._say(reply)
            reply = replace(reply, after_s=0.0)
        if self._mind.closing:
            self._leaves_at = min(self._leaves_at or math.inf, self._now + (reply.after_s or self._persona.hangs_up_after_s))
        return True

    async def _stay_silent(self, seconds: float) -> None:
        """Say nothing for a while, whatever the agent does, and let it finish."""
        until = self._now + seconds
        while seconds and (self._now < until or self._listener.speaking):
            if self._listener.turn_over():
                self._mind.note_goals(self._listener.take_turn())
            self._ticked.clear()
            await self._ticked.wait()

    async def _say(self, reply: Reply) -> None:
        pause = 0.0
        for part in reply.words:
            if isinstance(part, float):
                pause += part
                continue
            text = self._filled(part)
            silence = np.zeros(round(pause * RATE), dtype=np.int16)
            sound = np.concatenate([silence, await self._voice(text)])
            self._saying.append((text, reply.why, self._line.say(sound)))
            pause = 0.0
        while self._saying:
            await self._saying[0][2].spoken()
            self._note_spoken()
        for stretch in self._listener.forget(before=self._said_until):
            if stretch.text.done() and not stretch.text.exception():
                self._mind.note_goals(stretch.text.result())
        self._quiet_from = self._now

    async def _voice(self, text: str) -> Int16Array:
        if text not in self._spoken:
            sound = await self._speaking.synthesize(text, voice=self._persona.voice, speed=self._persona.speed)
            self._spoken[text] = at_level(trimmed(sound), SPEECH_RMS)
        return self._spoken[text]

    def _texts(self, words: Words) -> list[str]:
        return [self._filled(part) for part in words if isinstance(part, str)]

    def _filled(self, text: str) -> str:
        first, second, third = self._persona.digit_groups
        return text.format(name=self._persona.name, digits=self._persona.digits, digits_1=first, digits_2=second, digits_3=third)

    def _play_noises(self) -> None:
        for noise, sound in tuple(self._noises):
            began = 0.0 if noise.turn == 0 else self._listener.began_at
            here = noise.turn == 0 or (noise.turn == self._listener.turns and self._listener.speaking)
            if here and began is not None and self._now - began >= noise.after_s:
                self._noises.remove((noise, sound))
                self._line.play_background(sound)
                end = self._now + len(sound) / RATE
                self._log.write("event", at=round(self._now, 3), kind="noise", sound=noise.sound, end=round(end, 3))

    def _note_spoken(self) -> None:
        text, why, utterance = self._saying.popleft()
        start, end = utterance.started_at, utterance.ended_at
        if start is not None and end is not None:
            self._said_until = max(self._said_until, end)
            self._log.write("spoken", text=text, start=round(start, 3), end=round(end, 3), cut=utterance.cut, why=why)

    def _note_heard(self, span: Span, text: str) -> None:
        self._log.write("heard", start=round(span.start, 3), end=round(span.end, 3), text=text)
