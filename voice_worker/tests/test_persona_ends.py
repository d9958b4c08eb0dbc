import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents.personas import Answer, Goal, Noise, Persona, Step
from voice_worker.audio import CallClock
from voice_worker.ears import Ears
from voice_worker.simulation.ends import PersonaEnds
from voice_worker.simulation.log import LoggedCall, read_log
from voice_worker.tests.acting import Tones, play

GREETING = "hello this is the front desk"
SHORT = Persona(
    key="short",
    title="",
    description="",
    phone="5550101",
    steps=(
        Step(key="hours", say=("when do you open",), until="nine"),
        Step(key="price", say=("what does it cost", 0.5, "the blue one"), until="dollars"),
    ),
    answers=(Answer(key="name", hears="your name", during="hours", say=("i am sam",)),),
    goals=(Goal(key="hours", title="", hears="nine"), Goal(key="price", title="", hears="dollars")),
    farewell=("thanks goodbye",),
    patience_s=3.0,
    hangs_up_after_s=1.0,
)


class Desk:
    """A scripted agent: answers each utterance of the caller by the next line, `gap` seconds after it ended."""

    def __init__(self, ends: PersonaEnds, tones: Tones, *, gap: float = 0.4) -> None:
        self.ends, self.tones, self.gap = ends, tones, gap
        self._spoken = asyncio.Queue()

    def on_entry(self, entry: dict) -> None:
        if entry["type"] == "spoken":
            self._spoken.put_nowait(entry["text"])

    async def talk(self, answers: dict[str, str]) -> None:
        await self.say(GREETING)
        while True:
            said = await self._spoken.get()
            if answer := answers.get(said):
                await asyncio.sleep(self.gap)
                await self.say(answer)

    async def say(self, text: str) -> None:
        await play(self.ends.audio_output, self.tones.sound(text))


@asynccontextmanager
async def call(path: Path, *, persona: Persona = SHORT, tones: Tones | None = None):
    clock, tones = CallClock(), tones or Tones()
    desk = Desk(None, tones)
    ends = desk.ends = PersonaEnds(
        persona=persona, clock=clock, hearing=tones, speaking=tones, log_path=path, on_entry=desk.on_entry
    )
    await ends.prepare()
    await ends.start()
    reader = asyncio.create_task(_read(ends))
    await asyncio.sleep(0.3)
    try:
        yield ends, desk
    finally:
        await ends.aclose()
        await reader


async def _read(ends: PersonaEnds) -> None:
    async for _ in ends.audio_input:
        pass


async def whole_call(path: Path, answers: dict[str, str], *, persona: Persona = SHORT, within: float = 30) -> LoggedCall:
    async with call(path, persona=persona) as (ends, desk):
        talking = asyncio.create_task(desk.talk(answers))
        await asyncio.wait_for(ends.left.wait(), within)
        talking.cancel()
        with suppress(asyncio.CancelledError):
            await talking
    return read_log(path)


ANSWERS = {"when do you open": "we open at nine", "the blue one": "ten dollars it is", "thanks goodbye": "goodbye"}


async def test_a_conversation_reaches_its_goals_and_is_logged(tmp_path):
    log = await whole_call(tmp_path / "log.jsonl", ANSWERS)
    spoken = ["when do you open", "what does it cost", "the blue one", "thanks goodbye"]
    assert [entry["text"] for entry in log.spoken] == spoken
    assert [entry["text"] for entry in log.heard] == [GREETING, "we open at nine", "ten dollars it is", "goodbye"]
    assert log.reached == ("hours", "price")
    assert log.missed == ()
    assert log.end["reason"] == "caller_hung_up"
    assert log.header["persona"] == "short"


async def test_a_pause_inside_an_utterance_has_its_length(tmp_path):
    log = await whole_call(tmp_path / "log.jsonl", ANSWERS)
    first, second = log.spoken[1], log.spoken[2]
    assert second["start"] - first["end"] == pytest.approx(0.5, abs=0.03)


async def test_it_answers_soon_after_the_agent_has_finished(tmp_path):
    log = await whole_call(tmp_path / "log.jsonl", ANSWERS)
    waited = [spoken["start"] - heard["end"] for heard, spoken in zip(log.heard, log.spoken[:2], strict=False)]
    assert waited == [pytest.approx(0.75, abs=0.12)] * 2


async def test_ears_agree_with_the_personas_clock(tmp_path):
    path, ears = tmp_path / "log.jsonl", Ears(CallClock())
    async with call(path) as (ends, desk):
        ears.follow(ends.audio_output)
        ends.add_tap(ears)
        talking = asyncio.create_task(desk.talk(ANSWERS))
        await asyncio.wait_for(ends.left.wait(), 30)
        talking.cancel()
    ears.close()
    log = read_log(path)
    heard = [entry["start"] for entry in log.heard]
    assert np.abs(np.array([turn.started_at for turn in ears.turns()]) - heard).max() < 0.06
    truth = [log.heard[1]["start"] - log.spoken[0]["end"], log.heard[2]["start"] - log.spoken[2]["end"]]
    gaps = [turn.response_gap_ms / 1000 for turn in ears.turns()[1:3]]
    assert gaps == [pytest.approx(each, abs=0.06) for each in truth]


async def test_an_interruption_starts_so_far_into_the_agents_turn(tmp_path):
    persona = replace(SHORT, steps=(SHORT.steps[0], replace(SHORT.steps[1], interrupts_after_s=0.8)))
    path = tmp_path / "log.jsonl"
    async with call(path, persona=persona, tones=Tones(seconds_per_word=0.5)) as (ends, desk):
        talking = asyncio.create_task(desk.talk({"when do you open": "we open at nine and close at five every day"}))
        while len(read_log(path).spoken) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        talking.cancel()
        await ends.hang_up()
        began = ends._caller._listener.began_at
    log = read_log(path)
    assert log.spoken[1]["why"] == "price"
    assert log.spoken[1]["start"] - began == pytest.approx(0.8, abs=0.12)


async def test_a_silent_agent_is_given_up(tmp_path):
    log = await whole_call(tmp_path / "log.jsonl", {}, persona=replace(SHORT, patience_s=0.6))
    assert [entry["text"] for entry in log.spoken] == ["when do you open", "Hello? Are you there?", "when do you open"]
    assert log.events[-1]["kind"] == "caller_hung_up"
    assert log.missed == ("hours", "price")


async def test_a_wait_lets_silence_pass(tmp_path):
    persona = replace(SHORT, steps=(replace(SHORT.steps[0], waits_s=2.0),))
    log = await whole_call(tmp_path / "log.jsonl", ANSWERS, persona=persona)
    assert log.spoken[0]["start"] - log.heard[0]["end"] == pytest.approx(2.75, abs=0.15)


async def test_the_agent_hanging_up_stops_the_caller_and_is_no_leaving(tmp_path):
    path = tmp_path / "log.jsonl"
    async with call(path, tones=Tones(seconds_per_word=1)) as (ends, desk):
        await desk.say(GREETING)
        await asyncio.sleep(1.8)
        await ends.hang_up()
    log = read_log(path)
    assert not ends.left.is_set()
    assert ends.left_reason == "agent_hung_up"
    assert log.spoken[-1]["cut"]
    assert log.end["reason"] == "agent_hung_up"


async def test_what_the_agent_said_last_counts_even_when_it_hangs_up_at_once(tmp_path):
    path = tmp_path / "log.jsonl"
    async with call(path) as (ends, desk):
        await desk.say(GREETING)
        await asyncio.sleep(0.7)
        await desk.say("we open at nine")
        await ends.hang_up()
    assert "hours" in read_log(path).reached


async def test_noises_are_played_into_the_agents_turn(tmp_path):
    persona = replace(SHORT, noises=(Noise(sound="cough", turn=1, after_s=0.2), Noise(sound="mhm", turn=2)))
    log = await whole_call(tmp_path / "log.jsonl", ANSWERS, persona=persona)
    noises = [entry for entry in log.events if entry["kind"] == "noise"]
    assert [entry["sound"] for entry in noises] == ["cough", "mhm"]
    assert log.heard[0]["start"] < noises[0]["at"] < log.heard[0]["end"] + 0.2


async def test_without_hearing_the_caller_leaves_and_says_why(tmp_path):
    path, tones = tmp_path / "log.jsonl", Tones()
    tones.deaf = True
    async with call(path, tones=tones) as (ends, desk):
        await desk.say(GREETING)
        await asyncio.wait_for(ends.left.wait(), 5)
    assert ends.left_reason == "speech_failed"
    assert "does not answer" in read_log(path).events[0]["detail"]


async def test_every_line_is_spoken_before_the_call(tmp_path):
    tones = Tones()
    async with call(tmp_path / "log.jsonl", tones=tones):
        asked = len(tones.asked)
    assert len(tones.asked) == asked == len(set(tones.asked))
    assert "thanks goodbye" in tones.asked
