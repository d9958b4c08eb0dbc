"""A speech process made of tones: every text has a pitch of its own, and hearing is telling the pitch."""

import asyncio

import numpy as np
from livekit import rtc

from voice_worker.audio import RATE, Int16Array, PlayedOutput
from voice_worker.simulation.speech import SpeechError
from voice_worker.tests.sounds import tone

LOWEST, STEP = 300, 60


class Tones:
    def __init__(self, *, seconds_per_word: float = 0.08) -> None:
        self.texts: list[str] = []
        self.asked: list[str] = []
        self.deaf = False
        self._pace = seconds_per_word

    async def synthesize(self, text: str, *, voice: str, speed: float) -> Int16Array:
        self.asked.append(text)
        return self.sound(text)

    async def transcribe(self, pcm: Int16Array, rate: int = RATE) -> str:
        if self.deaf:
            raise SpeechError("the speech process does not answer")
        await asyncio.sleep(0.02)
        spectrum = np.abs(np.fft.rfft(pcm.astype(float) * np.hanning(len(pcm))))
        pitch = float(np.argmax(spectrum)) * rate / len(pcm)
        return self.texts[round((pitch - LOWEST) / STEP)]

    def sound(self, text: str) -> Int16Array:
        if text not in self.texts:
            self.texts.append(text)
        return tone(max(0.25, self._pace * len(text.split())), hertz=LOWEST + STEP * self.texts.index(text))


async def play(output: PlayedOutput, sound: Int16Array) -> None:
    await output.capture_frame(rtc.AudioFrame(sound.tobytes(), RATE, 1, len(sound)))
    output.flush()
    await output.wait_for_playout()
