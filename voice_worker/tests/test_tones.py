"""Beeps and music, told apart from everything else phones play. Sounds are made here; nothing waits."""

import numpy as np
import pytest

from voice_worker.audio import FRAME, RATE, Int16Array
from voice_worker.simulation.carrier.sounds import beep, murmur
from voice_worker.tests.sounds import laid_out, noise, silence, speechlike, tone
from voice_worker.tones import BeepDetector, MusicDetector


def beeps(sound: Int16Array) -> int:
    detector = BeepDetector()
    return sum(detector.push(sound[at : at + FRAME]) for at in range(0, len(sound), FRAME))


def is_music(sound: Int16Array) -> bool:
    detector = MusicDetector()
    for at in range(0, len(sound), FRAME):
        detector.push(sound[at : at + FRAME])
    return detector.is_on


def hum(seconds: float, *, hertz: float = 320.0) -> Int16Array:
    """A hum of one pure frequency that glides as voices do."""
    at = np.arange(round(seconds * RATE)) / RATE
    return (4000 * np.sin(2 * np.pi * (hertz * at + 0.5 * 60 * at**2))).astype(np.int16)


def chords(seconds: float) -> Int16Array:
    """Three voices that change twice a second."""
    at = np.arange(round(seconds * RATE)) / RATE
    step = 2.0 ** (np.floor(at * 2) % 5 / 12)
    return sum((1500 * np.sin(2 * np.pi * hertz * step * at)).astype(np.int16) for hertz in (262.0, 330.0, 392.0))


def melody() -> Int16Array:
    notes = [(0.25 * index, tone(0.24, hertz=hertz, level=3000)) for index, hertz in enumerate((523, 587, 659, 698, 784, 880))]
    return laid_out(3.0, *notes)


@pytest.mark.parametrize("hertz", [350, 425, 440, 900, 1000, 1400, 2000, 2400])
@pytest.mark.parametrize("seconds", [0.2, 0.4, 1.0])
@pytest.mark.parametrize("level", [600, 3000, 15000])
def test_a_beep_is_heard_at_every_pitch_and_loudness(hertz: float, seconds: float, level: float) -> None:
    track = laid_out(seconds + 2.5, (1.0, tone(seconds, hertz=hertz, level=level)))
    assert beeps(track) == 1


def test_a_beep_is_heard_after_a_greeting_and_above_the_noise_of_the_line() -> None:
    track = laid_out(6.0, (0.3, speechlike(3.0)), (4.0, beep())).astype(np.int32) + noise(6.0, rms=30)
    assert beeps(track.astype(np.int16)) == 1
    assert beeps(laid_out(9.0, (0.3, murmur("Please leave a message after the tone, thank you.")), (6.0, beep()))) == 1


@pytest.mark.parametrize(
    "sound",
    [
        silence(3.0),
        noise(3.0, rms=1000),
        laid_out(5.0, (0.5, speechlike(3.0))),
        laid_out(6.0, (0.5, murmur("Hello, this is a person who speaks for a while."))),
        laid_out(3.0, (0.5, hum(0.8))),
        laid_out(6.0, (0.5, chords(4.0))),
        melody(),
        laid_out(3.0, (1.0, tone(0.08, hertz=1000, level=3000))),
        laid_out(3.0, (1.0, tone(0.5, hertz=200, level=3000))),
        laid_out(3.0, (1.0, tone(0.5, hertz=2800, level=3000))),
        laid_out(6.0, (1.0, tone(4.0, hertz=1000, level=3000))),
        laid_out(3.0, (1.0, tone(0.2, hertz=697, level=3000)), (1.0, tone(0.2, hertz=1209, level=3000))),
        laid_out(4.0, (1.0, tone(0.33, hertz=950)), (1.33, tone(0.33, hertz=1400)), (1.66, tone(0.33, hertz=1800))),
        laid_out(4.0, (1.0, tone(0.5, hertz=1000, level=3000)), (1.5, speechlike(2.0))),
    ],
    ids=[
        "silence",
        "noise",
        "speech",
        "murmur",
        "hum",
        "chords",
        "melody",
        "blip",
        "low",
        "high",
        "fax",
        "key",
        "network",
        "talk",
    ],
)
def test_nothing_else_is_a_beep(sound: Int16Array) -> None:
    assert beeps(sound) == 0


def test_music_goes_on_where_speech_pauses() -> None:
    assert is_music(chords(5.0))
    assert not is_music(chords(3.0))
    assert not is_music(silence(5.0))
    assert not is_music(murmur("Somebody who speaks for more than five seconds, which takes a long sentence such as this."))
    talk = laid_out(5.0, *((1.3 * index, speechlike(1.0, seed=index)) for index in range(4)))
    assert not is_music(talk)
