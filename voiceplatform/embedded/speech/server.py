"""The HTTP face of the speech process; loopback only."""

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from voiceplatform.embedded.speech.errors import BrokenEngineError, SpeechError, UnknownVoiceError
from voiceplatform.embedded.speech.mel import RATE as EAR_RATE
from voiceplatform.embedded.speech.recognition import Recogniser, timed
from voiceplatform.embedded.speech.resample import resample, to_float
from voiceplatform.embedded.speech.synthesis import RATE, Engine, synthesise
from voiceplatform.embedded.speech.voices import DEFAULT_VOICE, VOICES

MODEL = "whisper-base-int8"
_LARGEST_BODY = 64 << 20
_LONGEST_TEXT = 5_000
_RATES = range(8_000, 96_001)
_SAMPLES = ("application/octet-stream", "audio/L16")
_log = logging.getLogger("speech")


class SpeechServer:
    """Answers while it loads (503), so that its supervisor can tell slow from dead."""

    def __init__(self, *, load: Callable[[], tuple[Recogniser, Engine]]) -> None:
        self._load = load
        self._recogniser: Recogniser | None = None
        self._engine: Engine | None = None
        self.failure: Exception | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recognition")

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[errors_as_json])
        app.router.add_get("/health", self._health)
        app.router.add_post("/v1/transcribe", self._transcribe)
        app.router.add_post("/v1/synthesize", self._synthesize)
        return app

    async def load(self) -> None:
        loop = asyncio.get_running_loop()
        recogniser, engine = await loop.run_in_executor(self._thread, self._load)
        await asyncio.gather(engine.warm_up(), loop.run_in_executor(self._thread, recogniser.warm_up))
        self._recogniser, self._engine = recogniser, engine

    async def close(self) -> None:
        if self._engine:
            await self._engine.close()
        self._thread.shutdown(cancel_futures=True)

    async def _health(self, request: web.Request) -> web.Response:
        if self._engine is None:
            return web.json_response({"error": "still loading"}, status=503)
        tts = {"engine": self._engine.name, "voices": list(VOICES), "sample_rate": RATE}
        return web.json_response({"stt": {"model": MODEL}, "tts": tts})

    async def _transcribe(self, request: web.Request) -> web.Response:
        recogniser = self._recogniser
        if recogniser is None:
            return web.json_response({"error": "still loading"}, status=503)
        rate, language = _rate(request), request.query.get("language", "en").partition("-")[0].lower()
        if language not in recogniser.languages:
            raise SpeechError(f"{MODEL} does not know the language {language!r}")
        sound = to_float(await _samples(request))
        heard = await asyncio.get_running_loop().run_in_executor(
            self._thread,
            lambda: timed(recogniser, resample(sound, source=rate, target=EAR_RATE), language=language),
        )
        transcript, took_s = heard
        return web.json_response(
            {
                "text": transcript.text,
                "no_speech_prob": round(transcript.no_speech_prob, 4),
                "avg_logprob": round(transcript.avg_logprob, 4),
                "audio_s": round(len(sound) / rate, 3),
                "took_s": round(took_s, 3),
                "model": MODEL,
            }
        )

    async def _synthesize(self, request: web.Request) -> web.StreamResponse:
        if self._engine is None:
            return web.json_response({"error": "still loading"}, status=503)
        text, voice, speed = _speech_request(await _json(request))
        if voice not in VOICES:
            return web.json_response({"error": f"there is no voice {voice!r}", "known": list(VOICES)}, status=400)
        answer = web.StreamResponse(headers={"Content-Type": "audio/L16", "X-Sample-Rate": str(RATE)})
        answer.enable_chunked_encoding()
        sound = synthesise(engine=self._engine, text=text, voice=voice, speed=speed)
        # The first piece is made before the header goes out, so that a failure is still an error answer.
        first = await anext(sound, b"")
        await answer.prepare(request)
        await answer.write(first)
        try:
            async for pcm in sound:
                await answer.write(pcm)
        except (SpeechError, OSError, RuntimeError, ValueError) as error:
            # The connection is closed: an answer that has begun must not be taken for a whole one, nor waited for.
            _log.warning("Broke off an answer: %s: %s", type(error).__name__, error)
            raise ConnectionResetError("the answer was broken off") from error
        await answer.write_eof()
        return answer


@web.middleware
async def errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except UnknownVoiceError as error:
        return web.json_response({"error": str(error), "known": list(VOICES)}, status=400)
    except BrokenEngineError as error:
        _log.exception("Request failed: %s", request.path)
        return web.json_response({"error": str(error)}, status=503)
    except SpeechError as error:
        return web.json_response({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return web.json_response({"error": error.text or error.reason}, status=error.status)
    except ConnectionError:
        raise
    except (OSError, RuntimeError, ValueError, TimeoutError) as error:
        _log.exception("Request failed: %s", request.path)
        return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=500)


def _rate(request: web.Request) -> int:
    raw = request.query.get("sample_rate", str(EAR_RATE))
    if not raw.isdecimal() or int(raw) not in _RATES:
        raise SpeechError(f"sample_rate must be a whole number from {_RATES.start} to {_RATES.stop - 1}, not {raw!r}")
    return int(raw)


async def _samples(request: web.Request) -> bytes:
    """Anything else, a WAV file with its header, say, would be heard as noise."""
    _require_type(request, *_SAMPLES)
    body = await request.read()
    if not body:
        raise SpeechError("the body is empty: it must be 16-bit samples")
    if len(body) % 2:
        raise SpeechError("the body must be 16-bit samples, but its length is odd")
    return body


def _require_type(request: web.Request, *known: str) -> None:
    if request.content_type.lower() not in {each.lower() for each in known}:
        raise web.HTTPUnsupportedMediaType(text=f"the body must be {' or '.join(known)}, not {request.content_type}")


async def _json(request: web.Request) -> dict[str, object]:
    _require_type(request, "application/json")
    try:
        body = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError, LookupError) as error:
        raise SpeechError("the body must be JSON") from error
    if not isinstance(body, dict):
        raise SpeechError("the body must be a JSON object")
    return body


def _speech_request(body: dict[str, object]) -> tuple[str, str, float]:
    text, voice, speed = body.get("text"), body.get("voice", DEFAULT_VOICE), body.get("speed", 1.0)
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
        raise SpeechError(f"text must be a string of at most {_LONGEST_TEXT} characters")
    if not isinstance(voice, str):
        raise SpeechError("voice must be a string")
    if not isinstance(speed, int | float) or isinstance(speed, bool) or not math.isfinite(speed):
        raise SpeechError("speed must be a number")
    # Half of a character that was cut in two cannot be handed to a program.
    return text.encode(errors="ignore").decode(), voice, float(speed)
