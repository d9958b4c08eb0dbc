import asyncio
import time

import numpy as np
import pytest
from livekit import rtc

from voice_worker.audio import FRAME_S, RATE, CallClock, PlayedOutput
from voice_worker.tests.sounds import tone


class Player:
    def __init__(self) -> None:
        self.clock = CallClock()
        self.heard: list[tuple[float, float, np.ndarray]] = []
        self.output = PlayedOutput(self.clock, heard=self._hear)
        self.started: list[float] = []
        self.finished: list[tuple[float, bool]] = []
        self.output.on("playback_started", lambda event: self.started.append(event.created_at))
        self.output.on("playback_finished", lambda event: self.finished.append((event.playback_position, event.interrupted)))

    def _hear(self, pcm: np.ndarray, at: float) -> None:
        self.heard.append((at, self.clock.now(), pcm))

    async def capture(self, seconds: float, *, piece: float = 0.05) -> None:
        sound = tone(seconds)
        step = round(piece * RATE)
        for begin in range(0, len(sound), step):
            part = sound[begin : begin + step]
            await self.output.capture_frame(rtc.AudioFrame(part.tobytes(), RATE, 1, len(part)))

    async def settled(self) -> None:
        await asyncio.wait_for(self.output.wait_for_playout(), 5)


async def test_a_segment_plays_in_real_time_and_finishes_once():
    player = Player()
    began = time.perf_counter()
    await player.capture(0.5)
    player.output.flush()
    await player.settled()
    assert 0.495 < time.perf_counter() - began < 0.53
    assert player.finished == [(0.5, False)]
    assert len(player.started) == 1
    assert len(player.heard) == 25
    starts = [at for at, _, _ in player.heard]
    assert np.abs(np.diff(starts) - FRAME_S).max() < 1e-3


async def test_odd_pieces_are_played_sample_for_sample():
    player = Player()
    await player.capture(0.317, piece=0.0137)
    player.output.flush()
    await player.settled()
    sound = np.concatenate([pcm for _, _, pcm in player.heard])
    wanted = tone(0.317)
    assert player.finished == [(len(wanted) / RATE, False)]
    assert np.array_equal(sound[: len(wanted)], wanted)
    assert not sound[len(wanted) :].any()


async def test_clearing_reports_the_position_reached():
    player = Player()
    await player.capture(3)
    player.output.flush()
    await asyncio.sleep(0.31)
    player.output.clear_buffer()
    await player.settled()
    position, interrupted = player.finished[0]
    assert interrupted
    assert position == pytest.approx(0.31, abs=0.045)
    assert position == pytest.approx(len(player.heard) * FRAME_S)
    played = len(player.heard)
    await asyncio.sleep(0.1)
    assert len(player.heard) == played
    assert len(player.finished) == 1


async def test_what_comes_between_a_clear_and_its_flush_is_dropped():
    player = Player()
    await player.capture(1)
    await asyncio.sleep(0.05)
    player.output.clear_buffer()
    await player.settled()
    played = len(player.heard)
    await player.capture(1)
    player.output.flush()
    await asyncio.sleep(0.05)
    assert len(player.heard) == played
    assert len(player.finished) == 1
    await player.capture(0.1)
    player.output.flush()
    await player.settled()
    assert player.finished[1] == (0.1, False)


async def test_a_pause_holds_the_place():
    player = Player()
    await player.capture(0.4)
    player.output.flush()
    await asyncio.sleep(0.15)
    player.output.pause()
    await asyncio.sleep(0.03)
    held = len(player.heard)
    await asyncio.sleep(0.3)
    assert len(player.heard) == held
    player.output.resume()
    await player.settled()
    assert player.finished == [(0.4, False)]
    assert np.array_equal(np.concatenate([pcm for _, _, pcm in player.heard]), tone(0.4))
    assert len(player.started) == 1


async def test_clearing_while_paused_finishes_and_the_next_segment_waits_for_resume():
    player = Player()
    await player.capture(1)
    player.output.flush()
    await asyncio.sleep(0.1)
    player.output.pause()
    player.output.clear_buffer()
    await player.settled()
    await player.capture(0.1)
    player.output.flush()
    await asyncio.sleep(0.1)
    assert len(player.finished) == 1
    player.output.resume()
    await player.settled()
    assert player.finished[1] == (0.1, False)


async def test_segments_queued_behind_each_other_finish_in_order():
    player = Player()
    for seconds in (0.1, 0.2, 0.06):
        await player.capture(seconds)
        player.output.flush()
    await player.settled()
    assert player.finished == [(0.1, False), (0.2, False), (0.06, False)]
    assert len(player.started) == 3


async def test_a_starved_player_goes_on_when_sound_comes():
    player = Player()
    await player.capture(0.1)
    await asyncio.sleep(0.3)
    await player.capture(0.1)
    player.output.flush()
    await player.settled()
    assert player.finished == [(0.2, False)]
    starts = [at for at, _, _ in player.heard]
    assert starts[5] - starts[4] == pytest.approx(0.3 - 0.08, abs=0.03)


async def test_a_flush_that_comes_late_still_finishes():
    player = Player()
    await player.capture(0.1)
    await asyncio.sleep(0.2)
    assert player.finished == []
    player.output.flush()
    await player.settled()
    assert player.finished == [(0.1, False)]


async def test_a_flush_during_the_last_frame_waits_for_its_end():
    player = Player()
    await player.capture(0.1)
    while len(player.heard) < 5:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    player.output.flush()
    await player.settled()
    assert player.clock.now() >= player.heard[-1][0] + FRAME_S - 0.003


async def test_flush_and_clear_without_sound_report_nothing():
    player = Player()
    player.output.flush()
    player.output.clear_buffer()
    await asyncio.sleep(0.05)
    assert player.finished == []


async def test_a_blocked_loop_is_not_made_good_in_a_burst():
    player = Player()
    await player.capture(1)
    player.output.flush()
    await asyncio.sleep(0.2)
    before = len(player.heard)
    time.sleep(0.3)  # noqa: ASYNC251
    await asyncio.sleep(0.005)
    assert len(player.heard) - before <= 4
    await player.settled()
    assert player.finished == [(1.0, False)]


async def test_closing_finishes_what_was_open():
    player = Player()
    await player.capture(1)
    player.output.close()
    await player.settled()
    await player.capture(1)
    player.output.flush()
    await player.settled()
    assert all(interrupted for _, interrupted in player.finished)


async def test_a_frame_of_another_rate_is_refused():
    player = Player()
    with pytest.raises(ValueError, match="16000"):
        await player.output.capture_frame(rtc.AudioFrame(bytes(640), 16_000, 1, 320))
