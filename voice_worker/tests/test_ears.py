import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit import rtc

from voice_worker.audio import FRAME, FRAME_S, RATE, CallClock, Int16Array, PacedInput, PlayedOutput
from voice_worker.ears import Ears, EarTurn
from voice_worker.tests.sounds import laid_out, noise, speechlike


class Player:
    """Stands for an audio output that only tells when a reply is over."""

    def __init__(self) -> None:
        self.tell = None

    def on(self, name: str, listener) -> None:
        assert name == "playback_finished"
        self.tell = listener


class SetClock(CallClock):
    seconds = 0.0

    def now(self) -> float:
        return self.seconds


def listen(
    *, caller: Int16Array, agent: Int16Array, endings: list[tuple[float, bool]] | None = None, told: list[EarTurn] | None = None
) -> Ears:
    """Play two tracks to fresh ears; the agent's frames exist only where it plays."""
    clock, player = SetClock(), Player()
    ears = Ears(clock, on_turn=told.append if told is not None else None)
    if endings is not None:
        ears.follow(player)
    waiting = list(endings or [])
    for begin in range(0, len(caller) - FRAME + 1, FRAME):
        clock.seconds = at = begin / RATE
        while waiting and waiting[0][0] <= at:
            player.tell(SimpleNamespace(interrupted=waiting.pop(0)[1]))
        if agent[begin : begin + FRAME].any():
            ears.agent_frame(agent[begin : begin + FRAME], at)
        ears.caller_frame(caller[begin : begin + FRAME], at)
    ears.close()
    return ears


def line(seconds: float, *pieces: tuple[float, Int16Array]) -> Int16Array:
    return laid_out(seconds, (0, noise(seconds, rms=5)), *pieces)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(gaps=st.lists(st.floats(0.15, 3.0), min_size=1, max_size=5), lengths=st.floats(0.3, 2.5), level=st.floats(800, 6000))
def test_response_gaps_match_the_truth(gaps, lengths, level):
    at, caller, agent = 1.0, [], []
    for index, gap in enumerate(gaps):
        caller.append((at, speechlike(lengths, rms=level, seed=index)))
        agent.append((at + lengths + gap, speechlike(1.0, seed=index + 50)))
        at += lengths + gap + 1.0 + 0.8
    told: list[EarTurn] = []
    turns = listen(caller=line(at + 3, *caller), agent=laid_out(at + 3, *agent), told=told).turns()
    wrong = [abs(turn.response_gap_ms - gap * 1000) for turn, gap in zip(turns, gaps, strict=True)]
    assert told == turns
    assert np.median(wrong) <= 60
    assert max(wrong) <= 200


def test_a_greeting_follows_nobody():
    ears = listen(caller=line(4), agent=laid_out(4, (0.5, speechlike(1))))
    assert [turn.response_gap_ms for turn in ears.turns()] == [None]


def test_an_agent_that_speaks_again_unasked_has_no_gap():
    caller = line(12, (1, speechlike(1)))
    agent = laid_out(12, (3, speechlike(1)), (8, speechlike(1)))
    gaps = [turn.response_gap_ms for turn in listen(caller=caller, agent=agent).turns()]
    assert gaps == [pytest.approx(1000, abs=40), None]


def test_a_pause_between_sentences_stays_in_the_turn():
    agent = laid_out(8, (1, speechlike(1)), (2.7, speechlike(1)))
    turns = listen(caller=line(8), agent=agent).turns()
    assert [(round(turn.started_at, 1), round(turn.ended_at, 1)) for turn in turns] == [(1.0, 3.7)]


def test_a_quick_exchange_makes_two_turns():
    caller = line(8, (2.3, speechlike(0.3)))
    agent = laid_out(8, (1, speechlike(1)), (3.1, speechlike(1)))
    turns = listen(caller=caller, agent=agent, endings=[(2.0, False), (4.1, False)]).turns()
    assert [turn.response_gap_ms for turn in turns] == [None, pytest.approx(500, abs=60)]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(starts=st.floats(0.2, 2.0), stop=st.floats(0.1, 1.2), length=st.floats(0.3, 2.0))
def test_stop_times_match_the_truth(starts, stop, length):
    begin = 1.0 + starts
    caller = line(12, (begin, speechlike(length)))
    agent = laid_out(12, (1.0, speechlike(starts + stop)), (begin + max(stop, length) + 0.8, speechlike(1)))
    turns = listen(caller=caller, agent=agent, endings=[(begin + stop + 0.02, True), (11, False)]).turns()
    assert len(turns) == 2
    assert turns[0].stop_ms == pytest.approx(stop * 1000, abs=60)
    assert turns[0].interruptions[0].outcome == "stopped"
    assert turns[1].stop_ms is None


@pytest.mark.parametrize(("pause", "outcome"), [(0.6, "resumed"), (1.4, "resumed"), (1.8, "stopped")])
def test_a_pause_that_resumes_in_time_is_no_stop(pause, outcome):
    caller = line(10, (2, speechlike(0.35)))
    agent = laid_out(10, (1, speechlike(1.5)), (2.5 + pause, speechlike(1)))
    (turn,) = listen(caller=caller, agent=agent, endings=[(3.5 + pause, False)]).turns()
    (interruption,) = turn.interruptions
    assert interruption.outcome == outcome
    assert (turn.stop_ms is None) == (outcome == "resumed")


def test_an_interruption_the_agent_ignores_is_only_overlap():
    caller = line(8, (2, speechlike(0.4)))
    (turn,) = listen(caller=caller, agent=laid_out(8, (1, speechlike(4))), endings=[(5.0, False)]).turns()
    assert [each.outcome for each in turn.interruptions] == ["finished"]
    assert turn.overlap_ms == pytest.approx(400, abs=60)
    assert turn.stop_ms is None


def test_a_new_reply_soon_after_an_abandoned_one_is_told_apart_by_the_player_only():
    caller = line(8, (2, speechlike(0.4)))
    agent = laid_out(8, (1, speechlike(1.3)), (3.2, speechlike(1)))
    followed = listen(caller=caller, agent=agent, endings=[(2.35, True), (4.2, False)]).turns()
    assert [turn.stop_ms for turn in followed] == [pytest.approx(300, abs=40), None]
    assert followed[1].response_gap_ms == pytest.approx(800, abs=60)
    assert [turn.stop_ms for turn in listen(caller=caller, agent=agent).turns()] == [None]


def test_a_turn_is_known_while_it_lasts():
    clock, ears = SetClock(), Ears(SetClock())
    caller, agent = line(4, (1, speechlike(1))), laid_out(4, (2.5, speechlike(1)))
    for begin in range(0, round(3.0 * RATE), FRAME):
        clock.seconds = begin / RATE
        if agent[begin : begin + FRAME].any():
            ears.agent_frame(agent[begin : begin + FRAME], begin / RATE)
        ears.caller_frame(caller[begin : begin + FRAME], begin / RATE)
    assert ears.turns() == []
    assert ears.turn_at(2.6).response_gap_ms == pytest.approx(500, abs=40)
    assert ears.turn_at(1.2) is None


def test_dead_air_is_where_nobody_speaks():
    caller, agent = line(20, (7, speechlike(1))), laid_out(20, (1, speechlike(1)), (9, speechlike(1)))
    silent = listen(caller=caller, agent=agent).dead_air(longer_than_s=4)
    assert [(round(span.start), round(span.end)) for span in silent] == [(2, 7), (10, 20)]


def test_metrics_name_only_what_was_measured():
    caller, agent = line(6, (1, speechlike(1))), laid_out(6, (3, speechlike(1)))
    (turn,) = listen(caller=caller, agent=agent).turns()
    assert list(turn.metrics()) == ["response_gap"]


async def test_ears_on_the_real_player_measure_a_real_barge_in():
    clock = CallClock()
    ears = Ears(clock)
    caller, agent = PacedInput(clock, heard=ears.caller_frame), PlayedOutput(clock, heard=ears.agent_frame)
    ears.follow(agent)
    caller.start()
    sound = speechlike(4)
    await agent.capture_frame(rtc.AudioFrame(sound.tobytes(), RATE, 1, len(sound)))
    agent.flush()
    await asyncio.sleep(0.8)
    utterance = caller.say(speechlike(0.6))
    await asyncio.sleep(0.3)
    silent_at = clock.now()
    agent.clear_buffer()
    await utterance.spoken()
    await asyncio.sleep(2.0)
    ears.close()
    caller.close()
    agent.close()
    (turn,) = ears.turns()
    assert turn.stop_ms == pytest.approx((silent_at - utterance.started_at) * 1000, abs=60)
    assert turn.ended_at == pytest.approx(silent_at, abs=FRAME_S + 0.02)
