"""How calls are answered, as sound: every opening spoken over a telephone line, and what is no speech at all."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.sounds import hiss, melody, over_telephone
from voice_worker.answering import promises_tone
from voice_worker.audio import RATE, Int16Array
from voice_worker.simulation.carrier.sounds import tone
from voice_worker.simulation.noise import SPEECH_RMS, at_level, trimmed
from voice_worker.simulation.speech import KeptSpeech, Speaking
from voice_worker.tests.openings import HELD_OUT, HUMAN, KNOWN, VM

Half = Literal["tuned", "held out", "sounds"]
NOBODY = "uncertain"

VOICES: Sequence[tuple[str, float]] = (("joe", 1.0), ("robin", 1.0), ("joe", 1.2), ("robin", 0.85))
BEEPS_HZ = (425, 620, 850, 1000, 1400, 2000)
_BEEP_S, _BEEP_AFTER_S = (0.25, 0.4, 0.8), 0.7
_BEGINS_S = 0.6
_FOREIGN = re.compile(r"\b(?:guten tag|hola|ha llamado|gracias)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Opening:
    """`stretches` are the seconds at which something sounds, within `pcm`."""

    half: Half
    is_: str
    text: str
    how: str
    pcm: Int16Array = field(repr=False)
    stretches: tuple[tuple[float, float], ...]

    @property
    def seconds(self) -> float:
        return len(self.pcm) / RATE


def texts(half: Half) -> list[tuple[str, str]]:
    """Those of a half that the voices here can speak: they know English."""
    return [(is_, text) for is_, text in _HALVES[half] if not _FOREIGN.search(text)]


_HALVES: dict[Half, Sequence[tuple[str, str]]] = {"tuned": KNOWN, "held out": HELD_OUT, "sounds": ()}
LEFT_OUT = sum(bool(_FOREIGN.search(text)) for _, text in (*KNOWN, *HELD_OUT))


async def spoken_openings(speaking: Speaking, *, folder: Path, takes: int) -> list[Opening]:
    """Each opening in so many of the voices, and each sound once."""
    kept, made = KeptSpeech(speaking, folder), list[Opening]()
    for half in ("tuned", "held out"):
        for index, (is_, text) in enumerate(texts(half)):
            made += [await spoken_opening(kept, is_, text, half=half, take=index + take) for take in range(takes)]
    return made + [opening async for opening in _sounds(kept)]


async def spoken_opening(kept: KeptSpeech, is_: str, text: str, *, half: Half, take: int) -> Opening:
    """An opening in one of the voices; a mailbox that promises a tone gives one."""
    voice, speed = VOICES[take % len(VOICES)]
    parts = await _said(kept, text, voice=voice, speed=speed)
    if is_ == VM and promises_tone(text):
        parts += [_BEEP_AFTER_S, _beep(take)]
    return _composed(half, is_, text, how=f"{voice} × {speed:g}", parts=parts)


async def _said(kept: KeptSpeech, text: str, *, voice: str, speed: float) -> list[float | Int16Array]:
    parts: list[float | Int16Array] = []
    for part in re.split(r"(\|[\d.]+\|)", text):
        if part.startswith("|"):
            parts.append(float(part.strip("|")))
        elif part.strip():
            spoken = await kept.synthesize(part.strip(), voice=voice, speed=speed)
            parts.append(at_level(trimmed(spoken), SPEECH_RMS))
    return parts


def _beep(number: int) -> Int16Array:
    return tone(BEEPS_HZ[number % len(BEEPS_HZ)], seconds=_BEEP_S[number % len(_BEEP_S)])


def _composed(half: Half, is_: str, text: str, *, how: str, parts: Sequence[float | Int16Array]) -> Opening:
    """Pauses in seconds, and sounds, one after the other."""
    at, pieces, stretches = _BEGINS_S, [_silence(_BEGINS_S)], []
    for part in parts:
        piece = _silence(part) if isinstance(part, float) else part
        if not isinstance(part, float):
            stretches.append((at, at + len(piece) / RATE))
        pieces.append(piece)
        at += len(piece) / RATE
    pcm = over_telephone(np.concatenate([*pieces, _silence(0.1)]))
    return Opening(half, is_, text, how, pcm=pcm, stretches=tuple(stretches))


def _silence(seconds: float) -> Int16Array:
    return np.zeros(round(seconds * RATE), dtype=np.int16)


async def _sounds(kept: KeptSpeech) -> AsyncIterator[Opening]:
    hello = at_level(trimmed(await kept.synthesize("Hello?", voice="robin", speed=1.0)), SPEECH_RMS)
    for hertz in BEEPS_HZ:
        yield _composed("sounds", VM, "a beep alone", how=f"{hertz} Hz", parts=[1.0, tone(hertz, seconds=0.4)])
    yield _composed("sounds", NOBODY, "silence", how="", parts=[0.1])
    yield _composed("sounds", NOBODY, "a street", how="", parts=[hiss(8.0)])
    yield _composed("sounds", NOBODY, "music", how="", parts=[melody(22.0)])
    for late in (2.0, 2.4, 4.0):
        yield _composed("sounds", HUMAN, "a late hello", how=f"after {late + _BEGINS_S:g} s", parts=[late, hello])
    street = at_level(hiss(len(hello) / RATE), SPEECH_RMS / 6)[: len(hello)]
    yield _composed("sounds", HUMAN, "a hello in the street", how="15 dB", parts=[hello + street])
