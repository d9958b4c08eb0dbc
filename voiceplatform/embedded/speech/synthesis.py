"""Text to sound by the engine that is there, piece by piece."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from voiceplatform.embedded.speech import text as texts
from voiceplatform.embedded.speech.errors import SpeechError, UnknownVoiceError
from voiceplatform.embedded.speech.espeak_program import espeak, espeak_path
from voiceplatform.embedded.speech.piper_program import PiperProgram, piper_installed
from voiceplatform.embedded.speech.resample import resample, to_float, to_pcm
from voiceplatform.embedded.speech.voices import VOICES, Voice

RATE = 22_050
_PROGRAMS = 4
_SLOWEST, _FASTEST = 0.5, 2.0
_PAUSE_AFTER_SENTENCE_S, _PAUSE_AFTER_CLAUSE_S = 0.22, 0.08


class Engine(Protocol):
    name: str

    async def warm_up(self) -> None: ...
    async def speak(self, *, text: str, voice: Voice, speed: float) -> tuple[bytes, int]: ...
    async def close(self) -> None: ...


class PiperEngine:
    """One Piper per pace, the least used one ended when there are too many."""

    name = "piper"

    def __init__(self, weights: Path) -> None:
        self._weights = weights
        self._programs: dict[float, PiperProgram] = {}

    async def warm_up(self) -> None:
        for voice in VOICES.values():
            await self.speak(text="Ready.", voice=voice, speed=1.0)

    async def speak(self, *, text: str, voice: Voice, speed: float) -> tuple[bytes, int]:
        program = await self._program(round(voice.pace / speed / 0.05) * 0.05)
        pcm, rate = await program.speak(text)
        if voice.pitch == 1.0:
            return pcm, rate
        # Played faster is higher; the pace given to Piper has slowed the words by as much.
        higher = await asyncio.to_thread(resample, to_float(pcm), source=round(rate * voice.pitch), target=rate)
        return to_pcm(higher), rate

    async def close(self) -> None:
        for program in self._programs.values():
            await program.close()

    async def _program(self, pace: float) -> PiperProgram:
        program = self._programs.pop(pace, None)
        if program is None:
            resting = [known for known, other in self._programs.items() if other.idle]
            if len(self._programs) >= _PROGRAMS and resting:
                await self._programs.pop(resting[0]).close()
            program = PiperProgram(weights=self._weights, pace=pace)
        self._programs[pace] = program
        return program


class EspeakEngine:
    name = "espeak-ng"

    def __init__(self, program: str) -> None:
        self._program = program

    async def warm_up(self) -> None:
        await self.speak(text="Ready.", voice=next(iter(VOICES.values())), speed=1.0)

    async def speak(self, *, text: str, voice: Voice, speed: float) -> tuple[bytes, int]:
        return await espeak(program=self._program, text=text, voice=voice, speed=speed)

    async def close(self) -> None:
        return None


def choose_engine(*, piper_weights: Path | None) -> Engine:
    if piper_weights is not None and piper_installed():
        return PiperEngine(piper_weights)
    if program := espeak_path():
        return EspeakEngine(program)
    missing = "the voice's weights (manage.py models fetch voice-joe)" if piper_installed() else "the package piper-tts"
    raise SpeechError(f"No voice can speak: {missing} and the program espeak-ng are missing. Install one of them.")


async def synthesise(*, engine: Engine, text: str, voice: str, speed: float) -> AsyncIterator[bytes]:
    """PCM at RATE, a piece of text at a time."""
    if voice not in VOICES:
        raise UnknownVoiceError(f"There is no voice {voice!r}")
    pace = min(max(speed, _SLOWEST), _FASTEST)
    before = ""
    for piece in texts.pieces(text):
        if before:
            seconds = _PAUSE_AFTER_SENTENCE_S if before[-1] in ".!?…" else _PAUSE_AFTER_CLAUSE_S
            yield bytes(2 * int(RATE * seconds))
        # A caller that goes away must not end Piper in the middle of a word and make the next one wait for a new one.
        job = asyncio.ensure_future(engine.speak(text=piece, voice=VOICES[voice], speed=pace))
        try:
            pcm, rate = await asyncio.shield(job)
        except asyncio.CancelledError:
            job.add_done_callback(_forget)
            raise
        yield pcm if rate == RATE else to_pcm(resample(to_float(pcm), source=rate, target=RATE))
        before = piece


def _forget(job: "asyncio.Future[tuple[bytes, int]]") -> None:
    with contextlib.suppress(asyncio.CancelledError):
        job.exception()
