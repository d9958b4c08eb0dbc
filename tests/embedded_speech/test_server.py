"""The HTTP face of the speech process: what it answers, and what it says to those who ask wrongly."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientError
from aiohttp.test_utils import TestClient, TestServer

from voiceplatform.embedded.speech import server as speech_server
from voiceplatform.embedded.speech.recognition import Transcript
from voiceplatform.embedded.speech.server import SpeechServer
from voiceplatform.embedded.speech.synthesis import RATE, PiperEngine

Client = TestClient
SECOND = bytes(2 * 8_000)


class CountingEars:
    """A recogniser without weights: it tells how much it was given."""

    languages = frozenset({"en", "de"})

    def warm_up(self) -> None:
        return

    def transcribe(self, samples: np.ndarray, *, language: str) -> Transcript:
        return Transcript(f"{len(samples)} samples in {language}", 0.012345, -0.25)


@pytest.fixture
async def server(piper_starts: Path, tmp_path: Path) -> AsyncIterator[SpeechServer]:
    speech = SpeechServer(load=lambda: (CountingEars(), PiperEngine(tmp_path / "joe.onnx")))
    yield speech
    await speech.close()


@pytest.fixture
async def client(server: SpeechServer) -> AsyncIterator[Client]:
    async with TestClient(TestServer(server.application())) as found:
        await server.load()
        yield found


def starts(path: Path) -> list[str]:
    return path.read_text().splitlines()


async def told(answer: Any) -> tuple[int, str]:
    return answer.status, (await answer.json())["error"]


async def test_it_says_that_it_is_loading_until_it_has_loaded(server: SpeechServer) -> None:
    async with TestClient(TestServer(server.application())) as client:
        asked = [await client.get("/health"), await client.post("/v1/transcribe"), await client.post("/v1/synthesize")]
        assert [await told(answer) for answer in asked] == [(503, "still loading")] * 3
        await server.load()
        health = await client.get("/health")
        assert (health.status, (await health.json())["tts"]["engine"]) == (200, "piper")


async def test_speech_is_heard_at_the_rate_of_the_model(client: Client) -> None:
    answer = await client.post("/v1/transcribe?sample_rate=8000&language=de-DE", data=SECOND)
    heard = await answer.json()
    assert heard.pop("took_s") >= 0
    assert heard == {
        "text": "16000 samples in de",
        "no_speech_prob": 0.0123,
        "avg_logprob": -0.25,
        "audio_s": 1.0,
        "model": "whisper-base-int8",
    }


@pytest.mark.parametrize(
    ("query", "sent", "status", "reason"),
    [
        ("", {"data": b""}, 400, "the body is empty"),
        ("", {"data": b"\0\0\0"}, 400, "its length is odd"),
        ("", {"data": SECOND, "headers": {"Content-Type": "audio/wav"}}, 415, "not audio/wav"),
        ("", {"json": {"sound": "none"}}, 415, "not application/json"),
        ("?sample_rate=fast", {"data": SECOND}, 400, "'fast'"),
        ("?sample_rate=²", {"data": SECOND}, 400, "sample_rate must be a whole number"),
        ("?sample_rate=4000", {"data": SECOND}, 400, "from 8000 to 96000"),
        ("?language=tlh", {"data": SECOND}, 400, "does not know the language 'tlh'"),
    ],
)
async def test_sound_that_cannot_be_heard_is_refused(
    client: Client, query: str, sent: dict[str, Any], status: int, reason: str
) -> None:
    code, error = await told(await client.post(f"/v1/transcribe{query}", **sent))
    assert (code, reason in error) == (status, True), error


async def test_more_sound_than_there_is_room_for_is_refused(server: SpeechServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_server, "_LARGEST_BODY", len(SECOND) - 1)
    async with TestClient(TestServer(server.application())) as client:
        await server.load()
        status, error = await told(await client.post("/v1/transcribe", data=SECOND))
    assert status == 413
    assert str(len(SECOND) - 1) in error


async def test_text_becomes_sound(client: Client) -> None:
    answer = await client.post("/v1/synthesize", json={"text": "Hello there. Bye!", "voice": "robin", "speed": 1.1})
    pcm = await answer.read()
    assert (answer.status, answer.headers["X-Sample-Rate"]) == (200, str(RATE))
    assert len(pcm) > RATE * 0.3
    half = await client.post("/v1/synthesize", json={"text": "Hello \ud83d there."})
    assert (half.status, len(await half.read()) > 0) == (200, True)
    silent = await client.post("/v1/synthesize", json={"text": "…"})
    assert (silent.status, await silent.read()) == (200, b"")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "must be JSON"),
        (b"{", 400, "must be JSON"),
        (b"\xff\xfe", 400, "must be JSON"),
        (b"[]", 400, "must be a JSON object"),
        (b"{}", 400, "text must be a string"),
        (json.dumps({"text": "a" * 5_001}).encode(), 400, "at most 5000 characters"),
        (b'{"text": "Hi.", "voice": "nobody"}', 400, "there is no voice 'nobody'"),
        (b'{"text": "Hi.", "voice": 7}', 400, "voice must be a string"),
        (b'{"text": "Hi.", "speed": "fast"}', 400, "speed must be a number"),
        (b'{"text": "Hi.", "speed": true}', 400, "speed must be a number"),
        (b'{"text": "Hi.", "speed": NaN}', 400, "speed must be a number"),
    ],
)
async def test_text_that_cannot_be_spoken_is_refused(client: Client, body: bytes, status: int, reason: str) -> None:
    headers = {"Content-Type": "application/json"}
    code, error = await told(await client.post("/v1/synthesize", data=body, headers=headers))
    assert (code, reason in error) == (status, True), error


async def test_text_that_is_not_json_by_its_own_account_is_refused(client: Client) -> None:
    status, error = await told(await client.post("/v1/synthesize", data='{"text": "Hi."}'))
    assert (status, error) == (415, "the body must be application/json, not text/plain")
    headers = {"Content-Type": "application/json; charset=klingon"}
    assert (await client.post("/v1/synthesize", data=b'{"text": "Hi."}', headers=headers)).status == 400


async def test_an_unknown_voice_is_answered_with_those_there_are(client: Client) -> None:
    answer = await client.post("/v1/synthesize", json={"text": "Hi.", "voice": "nobody"})
    assert (await answer.json())["known"] == ["joe", "robin"]


async def test_other_addresses_and_methods_are_named(client: Client) -> None:
    assert (await client.get("/v1/synthesize")).status == 405
    assert (await told(await client.get("/nothing")))[0] == 404


async def test_a_piper_that_dies_is_a_failure_worth_another_try(client: Client) -> None:
    status, error = await told(await client.post("/v1/synthesize", json={"text": "DIE"}))
    assert (status, error) == (503, "Piper ended: RuntimeError: the voice broke")
    assert (await client.post("/v1/synthesize", json={"text": "Hello."})).status == 200


async def test_a_piper_that_dies_half_way_leaves_no_answer_that_looks_whole(client: Client) -> None:
    answer = await client.post("/v1/synthesize", json={"text": "Hello there. Now DIE."})
    assert answer.status == 200
    with pytest.raises(ClientError):
        await answer.read()


async def test_a_caller_who_goes_away_costs_the_next_one_no_piper(client: Client, piper_starts: Path) -> None:
    before = starts(piper_starts)
    answer = await client.post("/v1/synthesize", json={"text": "Hello there, and welcome to a long sentence. " * 100})
    answer.close()
    await asyncio.sleep(0.1)
    assert (await client.post("/v1/synthesize", json={"text": "Hello."})).status == 200
    assert starts(piper_starts) == before
