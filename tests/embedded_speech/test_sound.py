"""Sound on its way to and from the models: sample rates, spectra, loudness, pieces."""

import numpy as np
import pytest

from voiceplatform.embedded.speech import recognition
from voiceplatform.embedded.speech.mel import RATE, log_mel
from voiceplatform.embedded.speech.resample import Samples, resample, to_float, to_pcm

RATES = [(8_000, 16_000), (24_000, 16_000), (22_050, 16_000), (44_100, 22_050), (26_019, 22_050), (16_000, 48_000)]


def tone(*, hertz: float, seconds: float, rate: int, level: float = 0.3) -> Samples:
    at = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


def pitch(samples: Samples, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)


@pytest.mark.parametrize("hertz", [97, 3_301])
@pytest.mark.parametrize(("source", "target"), RATES)
def test_a_new_sample_rate_keeps_pitch_level_and_length(source: int, target: int, hertz: float) -> None:
    before = tone(hertz=hertz, seconds=1.3, rate=source)
    after = resample(before, source=source, target=target)
    assert len(after) / target == pytest.approx(1.3, abs=2 / target)
    assert pitch(after, target) == pytest.approx(hertz, abs=1)
    inside = after[target // 10 : -target // 10]
    assert float(np.sqrt(np.mean(inside**2))) == pytest.approx(0.3 / np.sqrt(2), rel=0.01)


def test_what_a_lower_rate_cannot_hold_is_left_out() -> None:
    after = resample(tone(hertz=11_000, seconds=1, rate=48_000), source=48_000, target=16_000)
    assert float(np.abs(after[800:-800]).max()) < 0.005


def test_nothing_and_the_same_rate_stay_as_they_are() -> None:
    sound = tone(hertz=440, seconds=0.1, rate=16_000)
    assert resample(sound, source=16_000, target=16_000) is sound
    assert len(resample(sound[:0], source=8_000, target=16_000)) == 0


def test_samples_survive_the_way_to_pcm_and_back() -> None:
    sound = tone(hertz=440, seconds=0.1, rate=16_000)
    assert np.abs(to_float(to_pcm(sound)) - sound).max() < 1e-4
    assert np.frombuffer(to_pcm(np.array([2.0, -2.0], dtype=np.float32)), dtype="<i2").tolist() == [32767, -32767]


@pytest.mark.parametrize("hertz", [200, 1_000, 3_000, 6_000])
def test_a_tone_stands_in_its_mel_band(hertz: float) -> None:
    bands = log_mel(tone(hertz=hertz, seconds=1, rate=RATE), frames=100)
    assert bands.shape == (80, 100)
    mel = hertz * 3 / 200 if hertz < 1_000 else 15 + np.log(hertz / 1_000) / (np.log(6.4) / 27)
    step = (15 + np.log(8) / (np.log(6.4) / 27)) / 81
    assert int(bands[:, 50].argmax()) == pytest.approx(mel / step - 1, abs=1)


def test_beyond_the_sound_there_is_silence() -> None:
    bands = log_mel(tone(hertz=1_000, seconds=0.5, rate=RATE), frames=100)
    loudest = bands.max(axis=0)
    assert loudest[:48].min() > loudest[53:].max() + 1
    assert log_mel(np.ones(RATE, dtype=np.float32), frames=50).shape == (80, 50)


def test_a_quiet_line_is_not_taken_for_a_voice() -> None:
    hiss = (np.random.default_rng(1).standard_normal(RATE) * 0.001).astype(np.float32)
    click = np.concatenate([np.zeros(RATE, dtype=np.float32), tone(hertz=300, seconds=0.04, rate=RATE)])
    assert not any(recognition.has_sound(sound) for sound in (hiss, click, hiss[:0], hiss[:100]))
    assert recognition.has_sound(tone(hertz=300, seconds=0.1, rate=RATE, level=0.01))


def test_long_speech_is_cut_where_it_is_quietest() -> None:
    sound = tone(hertz=300, seconds=60, rate=RATE)
    for second in (24, 45):
        sound[second * RATE : round((second + 0.5) * RATE)] = 0
    parts = recognition.cut_long(sound)
    assert np.array_equal(np.concatenate(parts), sound)
    ends = np.cumsum([len(part) for part in parts])[:-1] / RATE
    assert ends == pytest.approx([24.25, 45.25], abs=0.25)


@pytest.mark.parametrize(
    "text", ["Bye bye bye", "thank you. Thank you! thank you", "could you repeat that, could you repeat that"]
)
def test_the_same_words_over_and_over_are_a_loop(text: str) -> None:
    assert recognition.is_repetition(text)


@pytest.mark.parametrize("text", ["", "Yes", "No, no.", "Five five five one two", "My name is Maria. Maria Garcia."])
def test_people_may_repeat_themselves(text: str) -> None:
    assert not recognition.is_repetition(text)


@pytest.mark.parametrize(
    ("text", "no_speech", "logprob", "speech"),
    [
        ("Are you open?", 0.1, -0.3, True),
        ("you", 0.9, -0.4, False),
        ("Are you open on Saturday?", 0.9, -0.4, True),
        ("Are you open?", 0.1, -1.5, False),
        ("...", 0.1, -0.3, False),
    ],
)
def test_noise_that_the_model_put_words_to_is_dropped(text: str, no_speech: float, logprob: float, speech: bool) -> None:
    decoded = recognition._Decoded(text, tokens=5, no_speech_prob=no_speech, avg_logprob=logprob, capped=False)
    assert recognition.is_speech(text=text, decoded=decoded) is speech
