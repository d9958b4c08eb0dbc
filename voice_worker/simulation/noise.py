"""Sounds that are no words: a cough, a murmur of assent, a television."""

import asyncio

import numpy as np

from agents.personas import Noise
from voice_worker.audio import RATE, Int16Array, audible_span
from voice_worker.simulation.speech import Speaking

SPEECH_RMS = 2300.0

# In phonemes: spelt, "mm-hmm" is read out as letters.
MURMURS = ("[[m̩ˈhm̩ː]]", "[[m̩hm̩]]", "[[ʔm̩hm̩]]", "Uh-huh.")
_TELEVISION = (
    "And now the weather for the rest of the week: sunny spells, with some rain towards the evening.",
    "Officials said on Tuesday that the bridge would stay closed until repairs were finished.",
    "Coming up after the break, we talk to the people who made it happen.",
)


async def make_noise(noise: Noise, *, speaking: Speaking, voice: str, take: int = 0) -> Int16Array:
    """The sound at its level against speech brought to SPEECH_RMS. People murmur in more than one way: `take` counts them."""
    if noise.sound == "cough":
        sound = cough()
    elif noise.sound == "mhm":
        sound = trimmed(await speaking.synthesize(MURMURS[take % len(MURMURS)], voice=voice, speed=1.0))
    else:
        sound = await television(speaking, seconds=noise.lasts_s)
    return at_level(sound, SPEECH_RMS * 10 ** (noise.level_db / 20))


def at_level(pcm: Int16Array, rms: float) -> Int16Array:
    """The sound with its audible part at this level, never clipped."""
    span = audible_span(pcm)
    if span is None:
        return pcm
    samples = pcm.astype(np.float32)
    gain = rms / float(np.sqrt(np.mean(np.square(samples[span[0] : span[1]]))))
    gain = min(gain, 32_000 / float(np.abs(samples).max()))
    return (samples * gain).astype(np.int16)


def trimmed(pcm: Int16Array) -> Int16Array:
    """Without silence at its ends."""
    span = audible_span(pcm)
    return pcm[span[0] : span[1]] if span else pcm[:0]


def cough(seed: int = 3) -> Int16Array:
    """Two bursts of shaped noise over a short glottal buzz."""
    generator = np.random.default_rng(seed)
    bursts = [_burst(generator, seconds=0.16), np.zeros(round(0.12 * RATE)), _burst(generator, seconds=0.22)]
    return (np.concatenate(bursts) * 9000).clip(-32768, 32767).astype(np.int16)


def _burst(generator: np.random.Generator, *, seconds: float) -> np.ndarray:
    count = round(seconds * RATE)
    at = np.arange(count) / RATE
    hiss = np.convolve(generator.standard_normal(count), np.hanning(9) / 4, mode="same")
    buzz = np.sign(np.sin(2 * np.pi * 140 * at)) * 0.4
    envelope = np.minimum(at / 0.012, 1.0) * np.exp(-at / (seconds / 3))
    burst: np.ndarray = (hiss + buzz) * envelope
    return burst


async def television(speaking: Speaking, *, seconds: float) -> Int16Array:
    """Several voices over each other: speech that is meant for nobody here."""
    voices = await asyncio.gather(*(speaking.synthesize(text, voice="joe", speed=1.1) for text in _TELEVISION))
    count = round(seconds * RATE)
    mixed = np.zeros(count, dtype=np.float32)
    for index, voice in enumerate(voices):
        if len(voice):
            mixed += np.roll(np.resize(voice.astype(np.float32), count), index * RATE // 3)
    return (mixed / max(1.0, len(voices))).astype(np.int16)
