"""The simulated carrier's parts that need no server."""

import asyncio
import json
import wave
from pathlib import Path

import numpy as np
import pytest

from voice_worker.audio import RATE
from voice_worker.simulation.carrier import messages, sounds
from voice_worker.simulation.carrier.actors import Stage, act
from voice_worker.simulation.carrier.answers import refusal
from voice_worker.simulation.carrier.book import BookError, Entry, Limits, PhoneBook, Tone, load_book, parse_actor
from voice_worker.simulation.carrier.bus import RpcError, _channel
from voice_worker.simulation.carrier.legs import Leg
from voice_worker.simulation.carrier.limits import Gate
from voice_worker.simulation.carrier.log import CarrierLog, legs_of, read_log
from voice_worker.simulation.carrier.takes import Take


def heard(pcm: np.ndarray) -> list[int]:
    told: list[int] = []
    ear = sounds.TokenEar(told.append)
    for begin in range(0, len(pcm), 480):
        ear.push(pcm[begin : begin + 480])
    return told


@pytest.mark.parametrize("token", [0, 1, 150, 299])
def test_a_token_is_heard_once_and_exactly(token):
    assert heard(sounds.token_tone(token, seconds=2)) == [token]


def test_tokens_beside_each_other_are_told_apart_in_noise():
    noise = np.random.default_rng(1).normal(0, 200, 2 * RATE)
    mixed = sounds.token_tone(50, seconds=2) * 0.4 + sounds.token_tone(51, seconds=2) * 0.4 + noise
    assert heard(mixed.astype(np.int16)) == [50, 51]


@pytest.mark.parametrize(
    "sound", [sounds.murmur("a sentence that is spoken " * 4), sounds.beep(), np.zeros(RATE, dtype=np.int16)]
)
def test_speech_a_beep_and_silence_are_no_tokens(sound):
    assert heard(sound) == []


def test_noise_is_no_token():
    noise = np.random.default_rng(2).normal(0, 3000, 10 * RATE)
    assert heard(noise.astype(np.int16)) == []


def test_the_built_in_book_has_an_outcome_for_every_kind():
    book = load_book()
    assert book.entry("+12025550101").status == 486
    assert (book.entry("+12025559999").outcome, book.entry("+12025559999").status) == ("refuse", 404)
    kinds = {entry.then.kind for entry in book.numbers.values()}
    assert kinds == {"silence", "tone", "recording", "voicemail", "menu", "presses", "screening", "persona"}
    assert {entry.outcome for entry in book.numbers.values()} == {"answer", "refuse", "rings_out", "at_cancel"}


def test_a_whole_number_comes_before_a_pattern():
    book = PhoneBook(numbers={"*0001": Entry(status=480), "+12025550001": Entry(status=404)})
    assert book.entry("+12025550001").status == 404
    assert book.entry("+13035550001").status == 480


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.toml", "[numbers", "a.toml: "),
        ("a.toml", '[numbers."*1"]\noutcome = "explodes"', "numbers.*1.outcome"),
        ("a.toml", '[numbers."*1"]\nstatus = 200', "numbers.*1.status"),
        ("a.json", '{"numbers": {"1 2": {}}}', "neither a number nor a pattern"),
        ("a.json", '{"numbers": {"1": {"speed": 1}}}', "numbers.1.speed"),
        ("missing.toml", None, "No such file"),
    ],
)
def test_a_wrong_book_is_told_where(tmp_path: Path, name, text, problem):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(BookError) as told:
        load_book(tmp_path / name)
    assert problem in str(told.value)


def test_an_actor_from_the_command_line_is_checked():
    assert parse_actor('{"kind": "tone", "token": 5}').kind == "tone"
    with pytest.raises(BookError, match="is no actor"):
        parse_actor('{"kind": "tone", "token": 300}')


@pytest.mark.parametrize(
    ("status", "code"), [(486, "resource_exhausted"), (485, "invalid_argument"), (599, "failed_precondition")]
)
def test_statuses_without_a_code_of_their_own_take_that_of_their_class(status, code):
    assert refusal(status).code == code


def test_the_gate_counts_in_every_rolling_second():
    now = [0.0]
    gate = Gate(Limits(cps=2), clock=lambda: now[0])

    def taken(at: float) -> bool:
        now[0] = at
        try:
            gate.take(str(at))
        except RpcError:
            return False
        return True

    assert [taken(at) for at in (0.0, 0.6, 0.9, 1.0, 1.5, 1.6, 1.99, 2.0)] == [True, True, False, True, False, True, False, True]


def test_a_leg_that_has_ended_makes_room_for_another():
    gate = Gate(Limits(concurrent=1))
    gate.take("first")
    with pytest.raises(RpcError, match="Concurrent call limit exceeded"):
        gate.take("second")
    gate.free("first")
    gate.take("second")


def test_the_log_is_read_back_leg_by_leg_without_what_was_cut_off(tmp_path: Path):
    log = CarrierLog(tmp_path / "log.jsonl")
    for leg, event in (("a", "invite"), ("b", "invite"), ("a", "end")):
        log.write(event, leg=leg)
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(json.dumps({"leg": "b"})[:-3])
    again = CarrierLog(tmp_path / "log.jsonl")
    again.write("end", leg="b")
    again.close()
    legs = legs_of(read_log(tmp_path / "log.jsonl"))
    assert {leg: [line["event"] for line in lines] for leg, lines in legs.items()} == {
        "a": ["invite", "end"],
        "b": ["invite", "end"],
    }


def test_channels_are_written_as_psrpc_writes_them():
    assert _channel("SIPInternal", "CreateSIPParticipant", "", "REQ") == "SIPInternal|CreateSIPParticipant|REQ"
    assert _channel("S", "🛰_é", "SCL_1-2") == "S|U+0001f6f0_u+00e9|SCL_1u+002d2"


def test_messages_keep_what_they_do_not_know():
    created = messages.make("Created", participant_id="PA", sip_call_id="SCL").SerializeToString()
    assert messages.parse("Empty", created).SerializeToString() == created
    packed = messages.pack("ClaimRequest", request_id="r", server_id="s", affinity=1.0)
    assert messages.unpack("ClaimRequest", packed).server_id == "s"


async def test_a_phone_that_would_play_all_day_lets_the_others_go_on_once_its_call_has_ended(tmp_path):
    log = CarrierLog(tmp_path / "log.jsonl")
    async with asyncio.TaskGroup() as tasks:
        leg = Leg("SCL_1", log=log, spawn=tasks.create_task)
        await leg.end("phone", "hung_up")
        playing = tasks.create_task(act(Tone(kind="tone", token=1), leg, Stage(speech_url="", folder=tmp_path)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not playing.done()
        playing.cancel()


def test_a_take_has_both_sides_at_their_time(tmp_path: Path):
    now = [5.0]
    take = Take(tmp_path / "takes" / "SCL_1.wav", clock=lambda: now[0])
    agent, person = take.ear(), take.ear()
    second = np.full(RATE, 1000, dtype=np.int16)
    agent(second)
    now[0] = 6.1  # late, but it goes on where the last second ended
    agent(second)
    person(second)
    now[0] = 9.0
    take.say(second)
    take.store()
    with wave.open(str(tmp_path / "takes" / "SCL_1.wav")) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, file.getnchannels())
    at = (np.array([0.5, 1.05, 1.5, 2.05, 3.0, 4.5]) * RATE).astype(int)
    assert sound[at].tolist() == [[0, 1000], [0, 1000], [0, 2000], [0, 1000], [0, 0], [1000, 0]]
