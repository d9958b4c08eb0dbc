"""Speech recognition by the speech process of this machine."""

import math
import time
from dataclasses import dataclass

import numpy as np
from livekit import rtc
from livekit.agents import NOT_GIVEN, APIConnectOptions, NotGivenOr, stt, utils
from livekit.agents.utils import AudioBuffer
from numpy.typing import NDArray

from voice_worker.providers.local_http import LocalServer

_FRAME_S = 0.02
_FAINT_DB = 14.0
_FADE_DB_PER_S = 0.1
_LONGEST_WAIT_S = 30.0


@dataclass
class NearVoice:
    """Tells the caller from a television behind them: far fainter than the caller has been is somebody else."""

    level_db: float | None = None
    heard_at: float = 0.0

    def is_far(self, *, level_db: float, now: float) -> bool:
        if self.level_db is None:
            return False
        # The longer the caller has been silent, the less their level says.
        return level_db < self.level_db - _FAINT_DB - (now - self.heard_at) * _FADE_DB_PER_S

    def heard(self, *, level_db: float, now: float) -> None:
        self.level_db, self.heard_at = level_db, now


class LocalSTT(stt.STT):
    """Not streaming: the session cuts utterances by voice activity and hands them over whole."""

    def __init__(self, *, server: LocalServer, model: str, language: str) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self._server, self._model, self._language = server, model, language
        self._near = NearVoice()

    @property
    def model(self) -> str:
        return self._model

    @property
    def provider(self) -> str:
        return "local"

    async def aclose(self) -> None:
        await self._server.aclose()

    async def _recognize_impl(
        self, buffer: AudioBuffer, *, language: NotGivenOr[str] = NOT_GIVEN, conn_options: APIConnectOptions
    ) -> stt.SpeechEvent:
        frame = rtc.combine_audio_frames(buffer)
        level_db, now = loudness(np.frombuffer(frame.data, dtype=np.int16), rate=frame.sample_rate), time.monotonic()
        if self._near.is_far(level_db=level_db, now=now):
            return self._event("", logprob=0.0)
        query = {"sample_rate": str(frame.sample_rate), "language": language or self._language}
        timeout_s = max(conn_options.timeout, _LONGEST_WAIT_S)
        async with self._server.post("/v1/transcribe", timeout_s=timeout_s, query=query, data=bytes(frame.data)) as answer:
            heard = await answer.json()
        text = str(heard["text"])
        if text:
            self._near.heard(level_db=level_db, now=now)
        return self._event(text, logprob=float(heard["avg_logprob"]))

    def _event(self, text: str, *, logprob: float) -> stt.SpeechEvent:
        data = stt.SpeechData(language=self._language, text=text, confidence=math.exp(min(logprob, 0.0)))  # type: ignore[arg-type]
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, request_id=utils.shortuuid("stt_"), alternatives=[data])


def loudness(pcm: NDArray[np.int16], *, rate: int) -> float:
    """Level of the loud parts in dB of full scale."""
    size = int(rate * _FRAME_S)
    whole = pcm[: len(pcm) // size * size].astype(np.float32).reshape(-1, size) / 32768
    if not len(whole):
        return -90.0
    return float(np.percentile(10 * np.log10(np.mean(whole**2, axis=1) + 1e-9), 90))
