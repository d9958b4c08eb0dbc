"""Who has the floor, on real speech: interruptions that must stop the agent, noises that must not, pauses in a number."""

import argparse
import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from django.conf import settings

from agents.personas import Noise, Sound
from agents.pipeline import VersionSettings
from benchmarks.calls import hold_call, make_job, prepare_database
from benchmarks.ends import ScriptedEnds
from benchmarks.report import Report, median, percentile
from voice_worker.audio import RATE, Int16Array, Utterance
from voice_worker.pipeline import Stages, build_stages
from voice_worker.providers.constant import Rule, RuleLLM
from voice_worker.simulation.noise import SPEECH_RMS, at_level, make_noise, trimmed
from voice_worker.simulation.speech import SpeechClient

VOICE = "robin"
STOP_MS, STOPS_ALLOWED, WHOLE_SHARE = 500, 0.1, 0.9
ASKS = "Please tell me about the opening hours."
INTERRUPTS = (
    "Sorry, I have another question.",
    "Wait, that is not what I meant.",
    "Excuse me, how much is a cleaning?",
    "Hold on, please stop for a moment.",
    "No, I wanted to know about parking.",
)
NUMBERS = (
    ("My phone number is five one two,", "five five five, zero one four three."),
    ("You can reach me on five one two, five five five,", "zero one four three."),
    ("Five one two, five five five,", "zero one nine eight."),
    ("My number is seven three seven,", "five five five, zero one two six."),
    ("It is five one two, five five", "five, zero one four three."),
)
NOISES: tuple[tuple[Sound, float, float], ...] = (("mhm", -6.0, 1.0), ("cough", -6.0, 1.0), ("television", -20.0, 4.0))
LONG = " ".join(
    f"On {day} we open at nine in the morning and we close at five in the afternoon, with a break at noon."
    for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
)
SETTINGS = {
    "hearing": {"provider": "local", "model": "whisper-base"},
    "speaking": {"provider": "local", "model": "piper", "voice": "joe"},
}
_INTO_THE_REPLY_S, _AFTER_S, _RESUMES_WITHIN_S, _PAUSE_S = 2.0, 3.0, 1.5, 1.0
_PER_CALL = 5


@dataclass(frozen=True, slots=True)
class Stop:
    """An interruption: milliseconds from its first audible sample to the agent's last, or None if it went on."""

    words: str
    stop_ms: float | None
    answered: bool


@dataclass(frozen=True, slots=True)
class Disturbance:
    sound: str
    abandoned: bool
    longest_pause_s: float

    @property
    def stopped(self) -> bool:
        return self.abandoned or self.longest_pause_s > _RESUMES_WITHIN_S


@dataclass(frozen=True, slots=True)
class Pause:
    """A number said in two parts."""

    words: str
    pause_s: float
    cut_off: bool


@dataclass(slots=True)
class Sounds:
    """Everything the caller may say or do, made beforehand."""

    client: SpeechClient
    known: dict[str, Int16Array] = field(default_factory=dict)
    noises: int = 0

    async def speech(self, text: str) -> Int16Array:
        if text not in self.known:
            spoken = await self.client.synthesize(text, voice=VOICE, speed=1.0)
            self.known[text] = at_level(trimmed(spoken), SPEECH_RMS)
        return self.known[text]

    async def noise(self, sound: Sound, *, level_db: float, lasts_s: float) -> Int16Array:
        noise = Noise(sound=sound, turn=1, level_db=level_db, lasts_s=lasts_s)
        self.noises += 1
        return await make_noise(noise, speaking=self.client, voice=VOICE, take=self.noises // len(NOISES))


def stages(*, reply: str) -> Callable[[VersionSettings], Awaitable[Stages]]:
    """Local recognition and voice; a language model by rule, whose answer is always `reply`."""

    async def build(version: VersionSettings) -> Stages:
        built = await build_stages(version)
        await built.llm.aclose()
        return Stages(stt=built.stt, llm=RuleLLM([Rule(hears="", say=reply)]), tts=built.tts)

    return build


async def agent_talks(ends: ScriptedEnds, *, ask: Int16Array) -> float:
    """Have the agent in the middle of a long reply; the call second at which it is. Asks when it is silent."""
    for _ in range(3):
        begun = ends.clock.now()
        if not await ends.until(lambda: ends.speaks_since(begun), timeout_s=0.5):  # noqa: B023
            await ends.say(ask)
            await ends.until(lambda: ends.speaks_since(begun), timeout_s=20)  # noqa: B023
        await asyncio.sleep(_INTO_THE_REPLY_S)
        if ends.speaks_since(ends.clock.now() - 0.5):
            return ends.clock.now()
    raise RuntimeError("the agent does not talk")


async def interrupt(ends: ScriptedEnds, sounds: Sounds, *, words: str) -> Stop:
    await agent_talks(ends, ask=await sounds.speech(ASKS))
    utterance = ends.line.say(await sounds.speech(words))
    await utterance.spoken()
    await asyncio.sleep(1.0)
    began, ended = utterance.started_at or 0.0, utterance.ended_at or 0.0
    answered = await ends.until(lambda: ends.speaks_since(ended + 0.3), timeout_s=20)
    return Stop(words=words, stop_ms=_stop_ms(ends, began=began, ended=ended), answered=answered)


def _stop_ms(ends: ScriptedEnds, *, began: float, ended: float) -> float | None:
    """The agent's last sound before it fell silent for good: its reply was cut before the next began."""
    cut = next((at for at, was_cut in ends.endings if was_cut and began <= at <= ended + 2.0), None)
    if cut is None:
        return None
    before = [at for at in ends.audible if at <= cut]
    return max(0.0, (before[-1] + 0.02 - began) * 1000) if before else 0.0


async def disturb(ends: ScriptedEnds, sounds: Sounds, *, sound: Sound, level_db: float, lasts_s: float) -> Disturbance:
    pcm = await sounds.noise(sound, level_db=level_db, lasts_s=lasts_s)
    began = await agent_talks(ends, ask=await sounds.speech(ASKS))
    ends.line.play_background(pcm)
    await asyncio.sleep(len(pcm) / RATE + _AFTER_S)
    until = ends.clock.now()
    abandoned = any(was_cut for at, was_cut in ends.endings if at >= began)
    heard = [began, *ends.heard_between(began, until), until]
    finished = any(not was_cut and began <= at <= until for at, was_cut in ends.endings)
    pauses = [0.0] if finished else [later - earlier for earlier, later in itertools.pairwise(heard)]
    return Disturbance(sound=sound, abandoned=abandoned, longest_pause_s=max(pauses))


async def say_number(ends: ScriptedEnds, sounds: Sounds, *, parts: tuple[str, str]) -> Pause:
    """The agent must not be heard before the second part is over."""
    await ends.until(lambda: not ends.speaks_since(ends.clock.now() - 1.0), timeout_s=20)
    first, second = [await sounds.speech(part) for part in parts]
    one = ends.line.say(first)
    two: Utterance = ends.line.say(np.concatenate([np.zeros(round(_PAUSE_S * RATE), np.int16), second]))
    await two.spoken()
    began, ended = one.started_at or 0.0, two.ended_at or 0.0
    await ends.until(lambda: ends.speaks_since(ended), timeout_s=20)
    pause = (two.started_at or 0.0) - (one.ended_at or 0.0)
    return Pause(words=" … ".join(parts), pause_s=pause, cut_off=bool(ends.heard_between(began, ended)))


async def in_calls(items: Sequence[Any], *, reply: str, act: Callable[[ScriptedEnds, Any], Awaitable[Any]]) -> list[Any]:
    """Acts on each item, a few in each call."""
    found: list[Any] = []
    for begin in range(0, len(items), _PER_CALL):
        job = await asyncio.to_thread(make_job, settings=SETTINGS)

        async def script(ends: ScriptedEnds, part: Sequence[Any] = items[begin : begin + _PER_CALL]) -> list[Any]:
            await ends.reply_over(since=-1.0)
            return [await act(ends, item) for item in part]

        done, outcome = await hold_call(job, stages=stages(reply=reply), script=script)
        print(
            f"  {len(found) + len(done)} of {len(items)} in calls that ended {outcome.reason if outcome else 'unclaimed'}",
            flush=True,
        )
        found += done
    return found


async def measure(*, stops: int, noises: int, pauses: int) -> tuple[list[Stop], list[Disturbance], list[Pause]]:
    sounds = Sounds(SpeechClient(settings.VP_SPEECH_URL))
    words = list(itertools.islice(itertools.cycle(INTERRUPTS), stops))
    clips = list(itertools.islice(itertools.cycle(NOISES), noises))
    numbers = list(itertools.islice(itertools.cycle(NUMBERS), pauses))
    try:
        return (
            await in_calls(words, reply=LONG, act=lambda ends, each: interrupt(ends, sounds, words=each)),
            await in_calls(
                clips, reply=LONG, act=lambda ends, each: disturb(ends, sounds, sound=each[0], level_db=each[1], lasts_s=each[2])
            ),
            await in_calls(numbers, reply="Thank you.", act=lambda ends, each: say_number(ends, sounds, parts=each)),
        )
    finally:
        await sounds.client.aclose()


def report_on(stops: Sequence[Stop], noises: Sequence[Disturbance], pauses: Sequence[Pause]) -> Report:
    report = Report("interruptions")
    times = [stop.stop_ms if stop.stop_ms is not None else float("inf") for stop in stops]
    late = percentile(times, 95) if times else 0.0
    report.add("interruptions that stopped the agent", f"{sum(stop.stop_ms is not None for stop in stops)} of {len(stops)}")
    report.add("silent after, median", median(times), "ms")
    report.add("silent after, p95", late, "ms", target=f"≤ {STOP_MS}", ok=late <= STOP_MS)
    stopped, allowed = sum(noise.stopped for noise in noises), int(len(noises) * STOPS_ALLOWED)
    report.add("noises that stopped it", f"{stopped} of {len(noises)}", target=f"≤ {allowed}", ok=stopped <= allowed)
    for sound in dict.fromkeys(noise.sound for noise in noises):
        of = [noise for noise in noises if noise.sound == sound]
        paused = sum(noise.longest_pause_s > 0.3 for noise in of)
        report.add(f"  {sound}", f"{sum(noise.stopped for noise in of)} of {len(of)}", f"({paused} paused)")
    whole = sum(not pause.cut_off for pause in pauses)
    wanted = int(len(pauses) * WHOLE_SHARE)
    report.add("numbers heard out over a pause", f"{whole} of {len(pauses)}", target=f"≥ {wanted}", ok=whole >= wanted)
    report.notes += [f"not stopped: {stop.words}" for stop in stops if stop.stop_ms is None]
    report.notes += [f"stopped by {noise}" for noise in noises if noise.stopped]
    report.notes += [f"cut off: {pause.words}" for pause in pauses if pause.cut_off]
    report.details = {
        "stops": [asdict(stop) for stop in stops],
        "noises": [asdict(noise) for noise in noises],
        "pauses": [asdict(pause) for pause in pauses],
    }
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.interruptions", description=__doc__)
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--noises", type=int, default=20)
    parser.add_argument("--pauses", type=int, default=10)
    options = parser.parse_args()
    prepare_database()
    found = asyncio.run(measure(stops=options.stops, noises=options.noises, pauses=options.pauses))
    return report_on(*found).publish()


if __name__ == "__main__":
    sys.exit(main())
