"""The worker's providers of hearing and speaking against the server they are made for."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, APIError, APIStatusError, APITimeoutError

from tests.embedded_speech.test_server import CountingEars
from voice_worker.providers.base import ProviderConfigError
from voice_worker.providers.local_http import LocalServer, check_server
from voice_worker.providers.local_stt import LocalSTT
from voice_worker.providers.local_tts import LocalTTS
from voiceplatform.embedded.speech.server import SpeechServer
from voiceplatform.embedded.speech.synthesis import RATE, PiperEngine

ONCE = APIConnectOptions(max_retry=0, timeout=2)
PIPER_S_PER_CHARACTER = 0.02


@pytest.fixture
async def speech(piper_starts: Path, tmp_path: Path) -> AsyncIterator[str]:
    speech = SpeechServer(load=lambda: (CountingEars(), PiperEngine(tmp_path / "joe.onnx")))
    async with TestServer(speech.application()) as server:
        await speech.load()
        yield str(server.make_url("")).rstrip("/")
    await speech.close()


def voice(url: str, *, name: str = "joe") -> LocalTTS:
    return LocalTTS(server=LocalServer(url=url, what="The speech process"), model="piper", voice=name, speed=1.0)


def ears(url: str, *, language: str = "en") -> LocalSTT:
    return LocalSTT(server=LocalServer(url=url, what="The speech process"), model="whisper", language=language)


async def spoken(source: LocalTTS, text: str) -> rtc.AudioFrame:
    async with source.synthesize(text, conn_options=ONCE) as stream:
        return await stream.collect()


async def refused(source: LocalTTS, text: str) -> APIError:
    with pytest.raises(APIError) as caught:
        await spoken(source, text)
    await source.aclose()
    return caught.value


async def test_a_sentence_is_spoken(speech: str) -> None:
    source = voice(speech)
    frame = await spoken(source, "Hello there.")
    assert (frame.sample_rate, frame.num_channels) == (RATE, 1)
    assert frame.duration == pytest.approx(12 * PIPER_S_PER_CHARACTER, abs=0.02)
    await source.aclose()


async def test_a_voice_that_broke_is_worth_another_try_and_an_unknown_one_is_not(speech: str) -> None:
    broken, unknown = await refused(voice(speech), "DIE"), await refused(voice(speech, name="nobody"), "Hello.")
    assert isinstance(broken, APIStatusError)
    assert (broken.status_code, broken.retryable) == (503, True)
    assert "the voice broke" in broken.message
    assert isinstance(unknown, APIStatusError)
    assert (unknown.status_code, unknown.retryable) == (400, False)
    assert "there is no voice 'nobody'" in unknown.message


async def test_a_voice_that_breaks_half_way_is_noticed_at_once(speech: str) -> None:
    assert isinstance(await refused(voice(speech), "Hello there. Now DIE."), APIConnectionError)


async def test_nobody_at_the_address_is_named() -> None:
    error = await refused(voice("http://127.0.0.1:9"), "Hello.")
    assert (type(error), error.retryable) == (APIConnectionError, True)
    assert "The speech process at http://127.0.0.1:9" in error.message


async def test_a_silent_server_is_given_up(silent_port: int) -> None:
    source = voice(f"http://127.0.0.1:{silent_port}")
    with pytest.raises(APITimeoutError):
        async with source.synthesize("Hello.", conn_options=APIConnectOptions(max_retry=0, timeout=0.3)) as stream:
            await stream.collect()
    await source.aclose()


async def test_an_utterance_is_heard(speech: str) -> None:
    listener = ears(speech)
    frames = [rtc.AudioFrame(np.zeros(2_400, dtype=np.int16).tobytes(), 24_000, 1, 2_400) for _ in range(10)]
    event = await listener.recognize(frames, conn_options=ONCE)
    assert event.alternatives[0].text == "16000 samples in en"
    assert event.alternatives[0].confidence == pytest.approx(np.exp(-0.25))
    await listener.aclose()


async def test_a_language_that_cannot_be_heard_is_not_tried_again(speech: str) -> None:
    listener = ears(speech, language="tlh")
    with pytest.raises(APIStatusError, match="does not know the language") as caught:
        await listener.recognize([rtc.AudioFrame(bytes(320), 16_000, 1, 160)], conn_options=ONCE)
    assert not caught.value.retryable
    await listener.aclose()


async def test_a_server_is_checked_before_a_call(speech: str) -> None:
    await check_server(url=speech, health_path="/health", what="The speech process", fix="Start it.")
    with pytest.raises(ProviderConfigError, match=r"at http://127\.0\.0\.1:9 does not answer\. Start it\."):
        await check_server(url="http://127.0.0.1:9", health_path="/health", what="The speech process", fix="Start it.")


@pytest.mark.parametrize(("status", "reason"), [(503, "is still loading"), (500, "answers 500")])
async def test_a_server_that_is_not_well_is_named(status: int, reason: str) -> None:
    async def health(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/health", health)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        with pytest.raises(ProviderConfigError, match=reason):
            await check_server(url=url, health_path="/health", what="The speech process", fix="Start it.")
