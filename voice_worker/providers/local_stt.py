"""Speech recognition by the speech process of this machine."""

import math

from livekit import rtc
from livekit.agents import NOT_GIVEN, APIConnectOptions, NotGivenOr, stt, utils
from livekit.agents.utils import AudioBuffer

from voice_worker.providers.local_http import LocalServer

_LONGEST_WAIT_S = 30.0


class LocalSTT(stt.STT):
    """Not streaming: the session cuts utterances by voice activity and hands them over whole."""

    def __init__(self, *, server: LocalServer, model: str, language: str) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self._server, self._model, self._language = server, model, language

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
        query = {"sample_rate": str(frame.sample_rate), "language": language or self._language}
        timeout_s = max(conn_options.timeout, _LONGEST_WAIT_S)
        async with self._server.post("/v1/transcribe", timeout_s=timeout_s, query=query, data=bytes(frame.data)) as answer:
            heard = await answer.json()
        return self._event(str(heard["text"]), logprob=float(heard["avg_logprob"]))

    def _event(self, text: str, *, logprob: float) -> stt.SpeechEvent:
        data = stt.SpeechData(language=self._language, text=text, confidence=math.exp(min(logprob, 0.0)))  # type: ignore[arg-type]
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, request_id=utils.shortuuid("stt_"), alternatives=[data])
