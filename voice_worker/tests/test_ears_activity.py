import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice_worker.activity import Span, VoiceActivity
from voice_worker.audio import FRAME, RATE, Int16Array
from voice_worker.tests.sounds import laid_out, noise, rms_of, speechlike


def spans(track: Int16Array, *, hangover_s: float = 0.3) -> list[Span]:
    activity = VoiceActivity(hangover_s=hangover_s)
    found: list[Span] = []
    for begin in range(0, len(track) - FRAME + 1, FRAME):
        found += activity.push(track[begin : begin + FRAME], begin / RATE)
    return found + activity.finish()


def errors(found: list[Span], truth: list[tuple[float, float]]) -> list[float]:
    assert len(found) == len(truth), f"{found} for {truth}"
    return [
        error for span, (start, end) in zip(found, truth, strict=True) for error in (abs(span.start - start), abs(span.end - end))
    ]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    loudness=st.floats(-34, -10),
    ratio=st.floats(18, 60),
    lengths=st.lists(st.floats(0.2, 3.0), min_size=1, max_size=4),
    pauses=st.lists(st.floats(0.5, 3.0), min_size=4, max_size=4),
    seed=st.integers(0, 1000),
)
def test_spans_match_the_truth_in_noise_at_any_level(loudness, ratio, lengths, pauses, seed):
    at, pieces, truth = 0.6, [], []
    for length, pause in zip(lengths, pauses, strict=False):
        pieces.append((at, speechlike(length, rms=rms_of(loudness), seed=seed)))
        truth.append((at, at + length))
        at += length + pause
    track = laid_out(at + 1, *pieces, (0.0, noise(at + 1, rms=rms_of(max(loudness - ratio, -85)), seed=seed)))
    wrong = errors(spans(track), truth)
    assert np.median(wrong) <= 0.06
    assert max(wrong) <= 0.2


def test_speakers_of_different_loudness_are_both_heard():
    track = laid_out(8, (1, speechlike(1, rms=4000)), (3, speechlike(1, rms=1300)), (5, speechlike(1, rms=4000)))
    assert max(errors(spans(track), [(1, 2), (3, 4), (5, 6)])) < 0.06


@pytest.mark.parametrize("length", [0.0005, 0.002, 0.01, 0.02])
def test_clicks_are_not_speech(length):
    clicks = [(at, noise(length, rms=20_000, seed=int(at * 10))) for at in (0.5, 1.3, 1.9, 3.2)]
    assert spans(laid_out(4, (0, noise(4, rms=5)), *clicks)) == []


def test_a_click_just_before_speech_moves_its_start_by_little():
    track = laid_out(4, (0, noise(4, rms=5)), (0.93, noise(0.003, rms=20_000)), (1, speechlike(1)))
    assert max(errors(spans(track), [(1, 2)])) <= 0.2


def test_the_soft_end_of_a_word_belongs_to_it():
    track = laid_out(4, (0, noise(4, rms=5)), (1, speechlike(0.8, rms=3000)), (1.8, speechlike(0.12, rms=260)))
    assert max(errors(spans(track), [(1, 1.92)])) <= 0.03


def test_a_voice_that_is_there_from_the_first_moment_is_no_line_noise():
    assert max(errors(spans(laid_out(4, (0, noise(4, rms=5)), (0, speechlike(2)))), [(0, 2)])) <= 0.06


def test_steady_noise_is_not_speech():
    assert [span for span in spans(noise(20, rms=rms_of(-45))) if span.end > 1.0] == []


def test_a_noise_that_sets_in_is_got_used_to():
    track = laid_out(40, (5, noise(35, rms=rms_of(-50))), (36, speechlike(2, rms=rms_of(-22))))
    last = spans(track)[-1]
    assert last.start == pytest.approx(36, abs=0.06)
    assert last.end == pytest.approx(38, abs=0.06)


def test_a_television_far_below_the_speaker_is_ignored_once_the_speaker_is_known():
    television = speechlike(14, rms=rms_of(-42), seed=9)
    track = laid_out(16, (1, speechlike(1.5, rms=rms_of(-22))), (2.5, television), (6, speechlike(1.5, rms=rms_of(-22))))
    wrong = errors(spans(track), [(1, 2.5), (6, 7.5)])
    assert max(wrong) <= 0.2


def test_a_pause_inside_a_word_does_not_split_it_and_a_long_one_does():
    track = laid_out(4, (0.5, speechlike(0.5)), (1.15, speechlike(0.5)), (2.4, speechlike(0.5)))
    assert max(errors(spans(track), [(0.5, 1.65), (2.4, 2.9)])) < 0.06


def test_silence_that_was_never_delivered_ends_speech():
    activity = VoiceActivity()
    sound = speechlike(1)
    found = activity.push(sound, 1.0)
    assert activity.current() is not None
    found += activity.pass_silence(30.0)
    assert activity.current() is None
    assert max(errors(found, [(1, 2)])) < 0.03


def test_the_same_sound_gives_the_same_spans():
    track = laid_out(6, (0, noise(6, rms=20)), (1, speechlike(2)), (4, speechlike(1)))
    assert spans(track) == spans(track)
