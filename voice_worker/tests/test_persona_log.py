import numpy as np
import pytest
from aiohttp import web

from agents.personas import Noise
from voice_worker.audio import RATE
from voice_worker.simulation.log import PersonaLog, read_log
from voice_worker.simulation.noise import SPEECH_RMS, at_level, make_noise
from voice_worker.simulation.speech import KeptSpeech, SpeechClient, SpeechError
from voice_worker.tests.acting import Tones
from voice_worker.tests.sounds import silence, tone


def test_a_log_is_read_back_up_to_where_it_was_cut_off(tmp_path):
    path, seen = tmp_path / "a" / "log.jsonl", []
    log = PersonaLog(path, on_entry=seen.append)
    log.write("header", persona="p", goals={"a": "A", "b": "B"})
    log.write("spoken", text="héllo", start=1.0, end=2.0)
    log.write("event", at=3.0, kind="noise")
    log.write("end", at=4.0, reason="caller_hung_up", reached=["a"])
    log.close()
    with path.open("a") as file:
        file.write('{"type": "spok')
    read = read_log(path)
    assert read.spoken[0]["text"] == "héllo"
    assert (read.reached, read.missed) == (("a",), ("b",))
    assert [entry["type"] for entry in seen] == ["header", "spoken", "event", "end"]
    assert read.events[0]["kind"] == "noise"


async def transcribe(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response({"text": f"{request.query['sample_rate']} {len(body)}"})


async def synthesize(request: web.Request) -> web.StreamResponse:
    voice = (await request.json())["voice"]
    if voice == "nobody":
        return web.json_response({"error": "there is no voice 'nobody'", "known": ["joe"]}, status=400)
    if voice == "broken":
        answer = web.StreamResponse(headers={"X-Sample-Rate": "22050", "Content-Length": "100000"})
        await answer.prepare(request)
        await answer.write(bytes(100))
        request.transport.close()
        return answer
    sound = (3000 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)).astype("<i2")
    return web.Response(body=sound.tobytes(), headers={"X-Sample-Rate": "22050"})


@pytest.fixture
async def speech_url():
    app = web.Application()
    app.add_routes([web.post("/v1/transcribe", transcribe), web.post("/v1/synthesize", synthesize)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    await runner.cleanup()


@pytest.fixture
async def client(speech_url):
    client = SpeechClient(speech_url)
    yield client
    await client.aclose()


async def test_it_speaks_the_speech_process_language(client):
    assert await client.transcribe(silence(0.5)) == f"{RATE} {RATE}"
    assert await client.transcribe(silence(0.5), 16_000) == f"16000 {RATE}"
    sound = await client.synthesize("hello", voice="joe", speed=1.0)
    assert len(sound) / RATE == pytest.approx(1.0, abs=0.01)
    assert np.argmax(np.abs(np.fft.rfft(sound))) * RATE / len(sound) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(("voice", "said"), [("nobody", "no voice 'nobody'"), ("broken", "broke off")])
async def test_failures_say_what_the_speech_process_said(client, voice, said):
    with pytest.raises(SpeechError, match=said):
        await client.synthesize("hello", voice=voice, speed=1.0)


async def test_no_speech_process_is_a_speech_error():
    client = SpeechClient("http://127.0.0.1:9")
    with pytest.raises(SpeechError, match="does not answer"):
        await client.transcribe(silence(0.1))
    await client.aclose()


async def test_a_line_is_spoken_once_and_kept(tmp_path):
    tones = Tones()
    kept = [KeptSpeech(tones, tmp_path) for _ in range(2)]
    sounds = [await each.synthesize("hello", voice="joe", speed=1.0) for each in kept]
    await kept[0].synthesize("hello", voice="robin", speed=1.0)
    assert tones.asked == ["hello", "hello"]
    assert np.array_equal(sounds[0], sounds[1])


@pytest.mark.parametrize(("sound", "level_db"), [("cough", -6), ("mhm", -10), ("television", -20)])
async def test_noises_have_their_level_against_speech(sound, level_db):
    made = await make_noise(Noise(sound=sound, turn=1, level_db=level_db, lasts_s=3), speaking=Tones(), voice="joe")
    audible = made[np.abs(made) > 5].astype(float)
    assert 20 * np.log10(np.sqrt(np.mean(audible**2)) / SPEECH_RMS) == pytest.approx(level_db, abs=3)


def test_levelling_never_clips():
    spike = np.concatenate([tone(0.5, level=300), np.full(5, 30_000, dtype=np.int16)])
    assert np.abs(at_level(spike, SPEECH_RMS).astype(int)).max() <= 32_000
