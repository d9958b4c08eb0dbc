"""The programs that speak: started once, ended when they misbehave, started again when they are gone."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from voiceplatform.embedded.speech import piper_program
from voiceplatform.embedded.speech.errors import BrokenEngineError, SpeechError, UnknownVoiceError
from voiceplatform.embedded.speech.espeak_program import espeak_path
from voiceplatform.embedded.speech.synthesis import RATE, EspeakEngine, PiperEngine, choose_engine, synthesise
from voiceplatform.embedded.speech.voices import VOICES, Voice

JOE, ROBIN = VOICES["joe"], VOICES["robin"]
PIPER_HERTZ = 220


@pytest.fixture
async def piper(piper_starts: Path, tmp_path: Path) -> AsyncIterator[PiperEngine]:
    engine = PiperEngine(tmp_path / "joe.onnx")
    yield engine
    await engine.close()


async def spoken(engine: PiperEngine, text: str, voice: Voice = JOE) -> np.ndarray:
    pcm, rate = await engine.speak(text=text, voice=voice, speed=1.0)
    assert rate == RATE
    return np.frombuffer(pcm, dtype="<i2")


def pitch(sound: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))))) * RATE / len(sound)


def starts(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def runs(number: str) -> bool:
    return Path(f"/proc/{number}").exists()


async def test_one_piper_speaks_line_after_line(piper: PiperEngine, piper_starts: Path) -> None:
    lengths = [len(await spoken(piper, text)) for text in ("Hello there.", "Hello\nthere, and\tgood bye.")]
    assert lengths[1] > lengths[0] > 0
    assert len(starts(piper_starts)) == 1
    assert starts(piper_starts)[0][1].endswith("joe.onnx")


async def test_lines_at_the_same_time_get_their_own_sound(piper: PiperEngine) -> None:
    texts = ["one", "one two", "one two three"]
    await spoken(piper, "Ready.")
    sounds = await asyncio.gather(*(spoken(piper, text) for text in texts))
    assert [len(sound) for sound in sounds] == [len(await spoken(piper, text)) for text in texts]


async def test_robin_is_joe_played_higher_at_about_the_same_pace(piper: PiperEngine, piper_starts: Path) -> None:
    text = "The quick brown fox jumps over the lazy dog."
    joe, robin = await spoken(piper, text), await spoken(piper, text, ROBIN)
    assert pitch(joe) == pytest.approx(PIPER_HERTZ, abs=1)
    assert pitch(robin) == pytest.approx(PIPER_HERTZ * ROBIN.pitch, abs=1)
    assert len(robin) == pytest.approx(len(joe) * ROBIN.pace / ROBIN.pitch, rel=0.02)
    assert [float(start[2]) for start in starts(piper_starts)] == [1.0, ROBIN.pace]


async def test_faster_speech_is_shorter(piper: PiperEngine) -> None:
    slow, _ = await piper.speak(text="Hello there.", voice=JOE, speed=0.8)
    fast, _ = await piper.speak(text="Hello there.", voice=JOE, speed=1.25)
    assert len(fast) == pytest.approx(len(slow) * 0.8 / 1.25, rel=0.02)


async def test_no_more_pipers_run_than_there_is_room_for(piper: PiperEngine, piper_starts: Path) -> None:
    for speed in (0.5, 0.7, 1.0, 1.3, 1.6, 2.0):
        await piper.speak(text="Hi.", voice=JOE, speed=speed)
    running = [number for number, *_ in starts(piper_starts) if runs(number)]
    assert len(starts(piper_starts)) == 6
    assert len(running) == 4


async def test_a_piper_that_dies_names_its_last_words_and_the_next_line_has_a_new_one(
    piper: PiperEngine, piper_starts: Path
) -> None:
    with pytest.raises(BrokenEngineError, match="RuntimeError: the voice broke"):
        await spoken(piper, "DIE")
    assert len(await spoken(piper, "Hello.")) > 0
    assert len(starts(piper_starts)) == 2


async def test_a_piper_killed_between_lines_is_started_again(piper: PiperEngine, piper_starts: Path) -> None:
    await spoken(piper, "Hello.")
    os.kill(int(starts(piper_starts)[0][0]), signal.SIGKILL)
    await asyncio.sleep(0.3)
    assert len(await spoken(piper, "Hello.")) > 0
    assert len(starts(piper_starts)) == 2


async def test_a_piper_that_hangs_is_ended(piper: PiperEngine, piper_starts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piper_program, "_SLOWEST_S", 0.5)
    with pytest.raises(BrokenEngineError, match="did not speak"):
        await spoken(piper, "HANG")
    assert not runs(starts(piper_starts)[0][0])


async def test_an_answer_nobody_waits_for_is_not_taken_for_the_next(piper: PiperEngine) -> None:
    speaking = asyncio.create_task(spoken(piper, "HANG"))
    await asyncio.sleep(0.5)
    speaking.cancel()
    await asyncio.wait([speaking])
    assert len(await spoken(piper, "Hi.")) == pytest.approx(RATE * 0.02 * 3, abs=1)


@pytest.mark.usefixtures("espeak_on_path")
async def test_espeak_speaks_with_pitch_and_pace() -> None:
    engine = EspeakEngine(espeak_path() or "")
    pcm, rate = await engine.speak(text="Hello there.", voice=JOE, speed=1.0)
    assert (rate, len(pcm)) == (RATE, 2 * round(RATE * 0.01 * 12))
    assert set(np.frombuffer(pcm, dtype="<i2")) == {JOE.espeak_pitch}
    faster, _ = await engine.speak(text="Hello there.", voice=ROBIN, speed=1.5)
    assert len(faster) == pytest.approx(len(pcm) / 1.5, rel=0.02)
    with pytest.raises(BrokenEngineError, match="voice not found"):
        await engine.speak(text="DIE", voice=JOE, speed=1.0)


async def test_pauses_stand_between_pieces(piper: PiperEngine) -> None:
    sound = b"".join([pcm async for pcm in synthesise(engine=piper, text="One. Two.", voice="joe", speed=1.0)])
    parts = [len(await spoken(piper, text)) for text in ("One.", "Two.")]
    assert len(sound) // 2 == pytest.approx(sum(parts) + 0.22 * RATE, abs=2)
    with pytest.raises(UnknownVoiceError):
        await anext(synthesise(engine=piper, text="One.", voice="nobody", speed=1.0))


def test_the_best_engine_there_is_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, espeak_on_path: None) -> None:
    assert choose_engine(piper_weights=tmp_path).name == "piper"
    assert choose_engine(piper_weights=None).name == "espeak-ng"
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SpeechError, match=r"manage\.py models fetch voice-joe"):
        choose_engine(piper_weights=None)
