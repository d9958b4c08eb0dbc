import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from voice_worker.audio import FRAME, FRAME_S, RATE, Int16Array
from voice_worker.recording import AGENT, CALLER, Recorder, Timeline
from voice_worker.tests.sounds import silence, tone


class SetClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds


def decode(path: Path) -> np.ndarray:
    """Both channels at 48 kHz, as floats."""
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name.endswith("opus")
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def level(channel: np.ndarray, *, begin: float, end: float) -> float:
    return float(np.sqrt(np.mean(np.square(channel[round(begin * 48_000) : round(end * 48_000)]))))


def feed(recorder: Recorder, clock: SetClock, *, channel: int, pcm: Int16Array, at: float) -> None:
    take = recorder.caller_frame if channel == CALLER else recorder.agent_frame
    for begin in range(0, len(pcm) - FRAME + 1, FRAME):
        clock.seconds = max(clock.seconds, at + begin / RATE)
        take(pcm[begin : begin + FRAME], at + begin / RATE)
        while recorder._queue.qsize() > 500 and not recorder.error:
            time.sleep(0.001)


def test_each_side_is_on_its_channel_at_its_time(tmp_path):
    clock = SetClock()
    recorder = Recorder(tmp_path / "call.ogg", clock)
    feed(recorder, clock, channel=CALLER, pcm=tone(1.0), at=1.0)
    feed(recorder, clock, channel=AGENT, pcm=tone(1.0), at=3.0)
    clock.seconds = 5.0
    result = recorder.close()
    caller, agent = decode(result.path)
    assert result.error == ""
    assert result.lost_s == 0
    assert result.duration_s == pytest.approx(5.0)
    assert caller.shape[0] / 48_000 == pytest.approx(5.0, abs=0.05)
    assert level(caller, begin=1.05, end=1.95) > 0.05
    assert level(agent, begin=3.05, end=3.95) > 0.05
    for channel, begin, end in ((caller, 0, 0.98), (caller, 2.05, 5), (agent, 0, 2.98), (agent, 4.05, 5)):
        assert level(channel, begin=begin, end=end) < 0.001


def test_the_result_describes_the_file(tmp_path):
    clock = SetClock()
    recorder = Recorder(tmp_path / "a" / "call.ogg", clock)
    feed(recorder, clock, channel=CALLER, pcm=tone(1.0), at=0.0)
    result = recorder.close()
    content = result.path.read_bytes()
    assert (result.size, result.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert recorder.close() == result


def test_late_and_disordered_frames_find_their_place(tmp_path):
    clock = SetClock()
    recorder = Recorder(tmp_path / "call.ogg", clock)
    sound = tone(1.0)
    frames = [(sound[begin : begin + FRAME], 1.0 + begin / RATE) for begin in range(0, len(sound), FRAME)]
    clock.seconds = 2.5
    for pair in zip(frames[1::2], frames[::2], strict=True):
        for pcm, at in pair:
            recorder.caller_frame(pcm, at)
    recorder.agent_frame(silence(FRAME_S), 1.9)
    result = recorder.close()
    caller, _ = decode(result.path)
    begin = round(1.05 * 48_000)
    spectrum = np.abs(np.fft.rfft(caller[begin : begin + 38_400] * np.hanning(38_400)))
    assert result.lost_s == 0
    assert spectrum.argmax() * 48_000 / 38_400 == pytest.approx(220, abs=2)
    assert spectrum[500:].max() < spectrum.max() / 50


def test_sound_far_ahead_is_heard_once():
    timeline = Timeline()
    timeline.place(channel=CALLER, start=2 * RATE, pcm=tone(0.5))
    track = np.concatenate([timeline.take(RATE // 10)[0, CALLER::2] for _ in range(80)])
    loud = np.flatnonzero(np.abs(track) > 10)
    assert loud[0] / RATE == pytest.approx(2.0, abs=0.01)
    assert loud[-1] / RATE == pytest.approx(2.4, abs=0.11)


def test_frames_too_late_or_from_the_future_are_counted_not_written(tmp_path):
    clock = SetClock()
    recorder = Recorder(tmp_path / "call.ogg", clock)
    feed(recorder, clock, channel=CALLER, pcm=tone(2.0), at=0.0)
    recorder.agent_frame(tone(FRAME_S), 0.1)
    recorder.agent_frame(tone(FRAME_S), 900.0)
    result = recorder.close()
    assert result.lost_s == pytest.approx(2 * FRAME_S)
    assert result.duration_s < 2.1


def test_silence_on_both_sides_is_recorded_as_time(tmp_path):
    clock = SetClock()
    recorder = Recorder(tmp_path / "call.ogg", clock)
    clock.seconds = 3.0
    result = recorder.close()
    assert decode(result.path).shape[1] / 48_000 == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("path", [Path("/proc/nowhere/call.ogg"), Path("/dev")])
def test_a_file_that_cannot_be_written_is_reported_at_the_end(path):
    clock = SetClock()
    recorder = Recorder(path, clock)
    feed(recorder, clock, channel=CALLER, pcm=tone(2.0), at=0.0)
    result = recorder.close()
    assert "Error" in result.error
    assert result.sha256 == ""


DISK_FULL = """
import resource, signal, sys
from pathlib import Path
from voice_worker.recording import Recorder
from voice_worker.tests.sounds import noise
from voice_worker.tests.test_recording import SetClock, feed
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
clock = SetClock()
recorder = Recorder(Path(sys.argv[1]), clock)
feed(recorder, clock, channel=0, pcm=noise(30, rms=3000), at=0.0)
result = recorder.close()
print(result.error, result.size)
"""


def test_a_disk_that_fills_up_ends_the_recording_not_the_call(tmp_path):
    path = tmp_path / "call.ogg"
    done = subprocess.run([sys.executable, "-c", DISK_FULL, str(path)], capture_output=True, text=True, timeout=60, check=True)
    assert "Error" in done.stdout
    assert 0.5 < decode(path).shape[1] / 48_000 < 10


KILLED = """
import asyncio, sys
from pathlib import Path
from livekit import rtc
from voice_worker.audio import RATE, CallClock, PacedInput, PlayedOutput
from voice_worker.recording import Recorder
from voice_worker.tests.sounds import tone

async def main():
    clock = CallClock()
    recorder = Recorder(Path(sys.argv[1]), clock)
    caller, agent = PacedInput(clock, heard=recorder.caller_frame), PlayedOutput(clock, heard=recorder.agent_frame)
    caller.start()
    caller.say(tone(60))
    await agent.capture_frame(rtc.AudioFrame(tone(60).tobytes(), RATE, 1, 60 * RATE))
    agent.flush()
    print("started", flush=True)
    while True:
        await asyncio.sleep(0.1)
        print(clock.now(), flush=True)

asyncio.run(main())
"""


def test_a_killed_process_leaves_all_but_the_last_second(tmp_path):
    path = tmp_path / "call.ogg"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    elapsed = 0.0
    for line in child.stdout:
        elapsed = float(line) if line != "started\n" else 0.0
        if elapsed > 4.0:
            break
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    caller, agent = decode(path)
    remnant = caller.shape[0] / 48_000
    assert elapsed - 1.5 < remnant <= elapsed + 0.2
    assert min(level(side, begin=0.5, end=remnant - 0.2) for side in (caller, agent)) > 0.05


async def test_closing_does_not_block_the_loop(tmp_path):
    clock = SetClock()
    recorder = Recorder(tmp_path / "call.ogg", clock)
    clock.seconds = 120.0
    closing = asyncio.create_task(recorder.aclose())
    longest, last = 0.0, time.perf_counter()
    while not closing.done():
        await asyncio.sleep(0.001)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    assert longest < 0.1
    assert closing.result().duration_s == 120.0


def test_memory_stays_flat(tmp_path):
    clock = SetClock()
    recorder = Recorder(tmp_path / "call.ogg", clock)
    sizes = []
    for minute in range(6):
        feed(recorder, clock, channel=AGENT, pcm=tone(60), at=60.0 * minute)
        resident = Path("/proc/self/statm").read_text().split()[1]
        sizes.append(int(resident) * os.sysconf("SC_PAGE_SIZE") / 2**20)
    recorder.close()
    assert sizes[-1] - sizes[1] < 4
