"""The check must fail on whatever can go wrong in a call without anybody noticing."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import av
import numpy as np
import pytest

from voice_worker.simulation.check import CheckedCall, PersonaWords, StoredMessage, StoredTurn, StoredUsage, check
from voice_worker.simulation.check.words import amounts, normalise, word_error_rate

RATE = 16_000
CALLER = (
    "What time do you open on Saturday?",
    "And how much is whitening?",
    "My name is Maria Lopez, five one two, five five five, oh one four three.",
)
AGENT = (
    "On Saturday we are open from 10 AM to 2 PM.",
    "Whitening is 250 dollars.",
    "I have Maria Lopez, 5 1 2, 5 5 5, 0 1 4 3. Goodbye.",
)
FACTS = ("Monday to Friday: open 9 AM to 5 PM", "Saturday: open 10 AM to 2 PM", "cleaning: 90 dollars", "whitening: 250 dollars")


def write_ogg(path: Path, *, caller: float, agent: float, swap: bool = False) -> Path:
    """Eight seconds in which the caller sounds first and the agent, at another pitch, after it."""
    t = np.arange(8 * RATE) / RATE
    left = caller * np.sin(2 * np.pi * 300 * t) * (t < 3)
    right = agent * np.sin(2 * np.pi * 600 * t) * (t > 4)
    stereo = np.stack([right, left] if swap else [left, right]).astype(np.int16)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libopus", rate=48_000, layout="stereo")
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=48_000)
        frame = av.AudioFrame.from_ndarray(stereo.T.reshape(1, -1).copy(), format="s16", layout="stereo")
        frame.sample_rate = RATE
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return path


async def hears_pitch(pcm: np.ndarray, rate: int) -> str:
    spectrum = np.abs(np.fft.rfft(pcm.astype(float)))
    pitch = np.argmax(spectrum) * rate / len(pcm)
    return " ".join(AGENT if pitch > 450 else CALLER)


def usage(kind: str, unit: str, quantity: str) -> StoredUsage:
    return StoredUsage(
        kind=kind, unit=unit, quantity=Decimal(quantity), cost=Decimal("0.01"), rate_price=Decimal(1), rate_per=Decimal(1000)
    )


@pytest.fixture
def good(tmp_path: Path) -> CheckedCall:
    turns = [
        StoredTurn(speaker, text)
        for pair in zip(CALLER, AGENT, strict=False)
        for speaker, text in zip(("caller", "agent"), pair, strict=False)
    ]
    return CheckedCall(
        disposition="completed",
        ended_reason="end_call",
        turns=tuple(turns),
        messages=(StoredMessage("Maria Lopez", "512 555 0143", "insurance"),),
        usage=(usage("stt", "second", "20"), usage("llm", "output_token", "300"), usage("tts", "character", "180")),
        cost=Decimal("0.5"),
        knowledge=FACTS,
        persona=PersonaWords(lines=CALLER, name="Maria Lopez", phone="5125550143"),
        recording=write_ogg(tmp_path / "call.ogg", caller=8000, agent=8000),
    )


async def failures(call: CheckedCall) -> set[str]:
    return {result.name for result in (await check(call, hears_pitch)).results if not result.ok}


async def test_a_good_call_holds(good: CheckedCall) -> None:
    assert await failures(good) == set()


async def test_a_looping_agent_fails(good: CheckedCall) -> None:
    loop = tuple(StoredTurn("agent", "Could you repeat that please?") for _ in range(3))
    assert "no loop" in await failures(replace(good, turns=good.turns + loop))


@pytest.mark.parametrize("levels", [(8000, 0), (0, 8000), (0, 0)])
async def test_a_silent_side_fails(good: CheckedCall, tmp_path: Path, levels: tuple[int, int]) -> None:
    silent = write_ogg(tmp_path / "silent.ogg", caller=levels[0], agent=levels[1])
    assert await failures(replace(good, recording=silent)) == {"recording"}


async def test_a_missing_or_broken_recording_fails(good: CheckedCall, tmp_path: Path) -> None:
    broken = tmp_path / "broken.ogg"
    broken.write_bytes(b"OggS" + bytes(100))
    assert await failures(replace(good, recording=None)) == {"recording"}
    assert await failures(replace(good, recording=broken)) == {"recording"}


async def test_swapped_channels_fail(good: CheckedCall, tmp_path: Path) -> None:
    swapped = write_ogg(tmp_path / "swapped.ogg", caller=8000, agent=8000, swap=True)
    assert await failures(replace(good, recording=swapped)) == {"channels", "agent's words"}


@pytest.mark.parametrize("row", [("Maria Lopez", "512 555 0144"), ("Mario Lopez", "512 555 0143"), ("Maria Lopez", "")])
async def test_one_wrong_digit_or_letter_fails(good: CheckedCall, row: tuple[str, str]) -> None:
    assert await failures(replace(good, messages=(StoredMessage(*row, "insurance"),))) == {"message"}


async def test_a_message_nobody_left_fails(good: CheckedCall) -> None:
    assert await failures(replace(good, persona=PersonaWords(lines=CALLER))) == {"message"}


@pytest.mark.parametrize("said", ["Whitening is 240 dollars.", "On Saturday we open at 9 AM.", "Braces are $90."])
async def test_an_invented_price_or_hour_fails(good: CheckedCall, said: str) -> None:
    turns = (*good.turns, StoredTurn("caller", "Really?"), StoredTurn("agent", said))
    assert "hours and prices" in await failures(replace(good, turns=turns))


async def test_misheard_words_fail(good: CheckedCall) -> None:
    turns = (StoredTurn("caller", "What dime do you often call Saturn day"), *good.turns[1:])
    assert "caller's words" in await failures(replace(good, turns=turns))


async def test_unmeasured_usage_and_wrong_cost_fail(good: CheckedCall) -> None:
    assert await failures(replace(good, usage=good.usage[1:])) == {"usage", "cost"}
    assert await failures(replace(good, cost=Decimal("0.6"))) == {"cost"}
    assert await failures(replace(good, cost=None)) == {"cost"}


@pytest.mark.parametrize("end", [("completed", "max_duration"), ("completed", "silence"), ("failed", "provider_error")])
async def test_an_end_by_a_limit_fails(good: CheckedCall, end: tuple[str, str]) -> None:
    assert await failures(replace(good, disposition=end[0], ended_reason=end[1])) == {"ending"}


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("five one two, five five five, oh one four three", "512-555-0143"),
        ("ninety dollars", "$90"),
        ("two hundred and fifty dollars", "250 dollars"),
        ("nine a.m. to five p.m.", "9AM to 5 PM"),
        ("double five, oh one", "5501"),
        ("twenty-five", "25"),
        ("10:00 o'clock", "ten"),
    ],
)
def test_one_spelling_for_numbers(spoken: str, written: str) -> None:
    assert normalise(spoken) == normalise(written)


def test_word_error_rate_counts_edits_per_word_said() -> None:
    assert word_error_rate(said="one two three four", understood="1 2 3 4") == 0
    assert word_error_rate(said="open on sunday please", understood="open sunday now please") == 0.5
    assert word_error_rate(said="", understood="") == 0
    assert word_error_rate(said="", understood="you") == 1
    assert amounts("open 9 AM to 5 PM, 90 dollars") == {("9", "am"), ("5", "pm"), ("90", "dollars")}
