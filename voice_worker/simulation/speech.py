"""How a simulated caller hears and speaks: protocols, the speech process behind them, and a cache of spoken lines."""

import asyncio
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Protocol

import aiohttp
import numpy as np
from livekit import rtc

from voice_worker.audio import RATE, Int16Array

_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5)


class SpeechError(Exception):
    """The speech process did not answer as it should."""


class Hearing(Protocol):
    async def transcribe(self, pcm: Int16Array, rate: int = RATE) -> str: ...


class Speaking(Protocol):
    async def synthesize(self, text: str, *, voice: str, speed: float) -> Int16Array:
        """Samples at RATE."""
        ...


class SpeechClient:
    """Hears and speaks through the speech process."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def transcribe(self, pcm: Int16Array, rate: int = RATE) -> str:
        async with self._post("/v1/transcribe", params={"sample_rate": str(rate)}, data=pcm.tobytes()) as answer:
            return str((await answer.json())["text"])

    async def synthesize(self, text: str, *, voice: str, speed: float) -> Int16Array:
        async with self._post("/v1/synthesize", json={"text": text, "voice": voice, "speed": speed}) as answer:
            pcm, rate = await answer.read(), int(answer.headers["X-Sample-Rate"])
        return await asyncio.to_thread(resampled, np.frombuffer(pcm, dtype="<i2"), rate)

    async def aclose(self) -> None:
        if self._session:
            await self._session.close()

    def _post(self, path: str, **request: object) -> "_Answer":
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        return _Answer(self._session.post(self._url + path, **request))  # type: ignore[arg-type]


class _Answer:
    """An HTTP answer whose failures are a SpeechError."""

    def __init__(self, request: "aiohttp.client._RequestContextManager") -> None:
        self._request = request

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            answer = await self._request.__aenter__()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SpeechError(f"the speech process does not answer: {error or type(error).__name__}") from error
        if answer.status != 200:
            body = (await answer.text())[:300]
            answer.release()
            raise SpeechError(f"the speech process answered {answer.status}: {body}")
        return answer

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._request.__aexit__(kind, error, trace)
        if isinstance(error, aiohttp.ClientError | TimeoutError):
            raise SpeechError(f"the speech process broke off its answer: {error or type(error).__name__}") from error


class KeptSpeech:
    """Speaks each line once and keeps it in a folder, for the next call of the same caller."""

    def __init__(self, inner: Speaking, folder: Path) -> None:
        self._inner, self._folder = inner, folder

    async def synthesize(self, text: str, *, voice: str, speed: float) -> Int16Array:
        name = hashlib.sha256(f"{voice}\0{speed}\0{RATE}\0{text}".encode()).hexdigest()[:32]
        path = self._folder / f"{name}.pcm"
        kept = await asyncio.to_thread(_read, path)
        if kept is not None:
            return kept
        pcm = await self._inner.synthesize(text, voice=voice, speed=speed)
        await asyncio.to_thread(_write, path, pcm)
        return pcm


def _read(path: Path) -> Int16Array | None:
    return np.frombuffer(path.read_bytes(), dtype=np.int16) if path.is_file() else None


def _write(path: Path, pcm: Int16Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(f".{os.getpid()}")
    half.write_bytes(pcm.tobytes())
    half.replace(path)


def resampled(pcm: Int16Array, rate: int) -> Int16Array:
    """Samples at RATE."""
    if rate == RATE or not len(pcm):
        return pcm
    resampler = rtc.AudioResampler(rate, RATE, num_channels=1)
    frames = resampler.push(rtc.AudioFrame(pcm.tobytes(), rate, 1, len(pcm))) + resampler.flush()
    return np.concatenate([np.frombuffer(frame.data, dtype=np.int16) for frame in frames])
