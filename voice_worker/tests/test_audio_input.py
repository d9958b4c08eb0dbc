import asyncio
import time

import numpy as np
import pytest

from voice_worker.audio import FRAME, FRAME_S, RATE, CallClock, PacedInput, audible_span
from voice_worker.tests.sounds import silence, tone


class Line:
    """A running input with what it delivered to the tap and to the reader."""

    def __init__(self) -> None:
        self.clock = CallClock()
        self.heard: list[tuple[float, np.ndarray]] = []
        self.read: list[tuple[float, np.ndarray]] = []
        self.input = PacedInput(self.clock, heard=lambda pcm, at: self.heard.append((at, pcm)))

    async def run(self, seconds: float) -> None:
        reader = asyncio.create_task(self._read())
        self.input.start()
        await asyncio.sleep(seconds)
        self.input.close()
        await reader

    async def _read(self) -> None:
        async for frame in self.input:
            self.read.append((self.clock.now(), np.frombuffer(frame.data, np.int16)))


async def test_frames_come_at_the_pace_of_real_time():
    line = Line()
    await line.run(1.0)
    assert len(line.read) in range(46, 51)
    gaps = np.diff([at for at, _ in line.read])
    assert np.median(gaps) == pytest.approx(FRAME_S, abs=0.002)
    assert {len(pcm) for _, pcm in line.read} == {FRAME}


async def test_the_schedule_does_not_drift():
    line = Line()
    await line.run(1.0)
    starts = np.array([at for at, _ in line.heard])
    assert np.abs(np.diff(starts) - FRAME_S).max() < 1e-6


async def test_an_idle_line_carries_quiet_noise():
    line = Line()
    await line.run(0.3)
    sound = np.concatenate([pcm for _, pcm in line.read])
    assert 0 < np.abs(sound).max() <= 8


async def test_an_utterance_reports_when_its_audible_part_sounded():
    line = Line()
    spoken = np.concatenate([silence(0.1), tone(0.2), silence(0.3)])
    utterance = line.input.say(spoken)
    running = asyncio.create_task(line.run(1.0))
    await utterance.spoken()
    now = line.clock.now()
    assert utterance.started_at == pytest.approx(line.heard[0][0] + 0.1, abs=0.011)
    assert utterance.ended_at - utterance.started_at == pytest.approx(0.2, abs=0.011)
    assert now - utterance.ended_at < 0.06
    await running


async def test_utterances_follow_each_other_and_reach_the_reader_whole():
    line = Line()
    line.input.say(tone(0.1, level=2000))
    line.input.say(tone(0.1, level=4000))
    await line.run(0.5)
    sound = np.concatenate([pcm for _, pcm in line.read])
    span = audible_span(sound)
    assert span is not None
    assert (span[1] - span[0]) / RATE == pytest.approx(0.2, abs=0.02)


async def test_hush_cuts_what_is_being_said():
    line = Line()
    first, second = line.input.say(tone(5)), line.input.say(tone(1))
    running = asyncio.create_task(line.run(0.6))
    await asyncio.sleep(0.3)
    line.input.hush()
    await asyncio.gather(first.spoken(), second.spoken(), running)
    assert first.cut
    assert second.started_at is None
    assert first.ended_at - first.started_at == pytest.approx(0.3, abs=0.06)


async def test_background_is_mixed_under_speech():
    line = Line()
    line.input.play_background(tone(0.4, level=300))
    line.input.say(tone(0.2, level=3000))
    await line.run(0.7)
    level = [np.sqrt(np.mean(np.square(pcm.astype(float)))) for _, pcm in line.read]
    assert max(level[:9]) > 1900
    assert 150 < np.median(level[12:18]) < 300
    assert max(level[25:]) < 10


async def test_a_blocked_loop_is_not_made_good_in_a_burst():
    line = Line()
    running = asyncio.create_task(line.run(1.0))
    await asyncio.sleep(0.3)
    before = len(line.heard)
    time.sleep(0.3)  # noqa: ASYNC251
    await asyncio.sleep(0.001)
    assert len(line.heard) - before <= 4
    await running
    starts = np.array([at for at, _ in line.heard])
    assert starts[-1] == pytest.approx(line.clock.now(), abs=0.08)


async def test_a_line_nobody_reads_keeps_only_the_last_moment():
    line = Line()
    line.input.start()
    await asyncio.sleep(0.4)
    line.input.close()
    await line._read()
    assert len(line.read) <= 5
    assert len(line.heard) >= 17


def test_silence_has_no_audible_span():
    assert audible_span(silence(0.5)) is None
    assert audible_span(np.zeros(0, np.int16)) is None
