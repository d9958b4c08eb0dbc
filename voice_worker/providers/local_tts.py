"""Speech synthesis by the speech process of this machine."""

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, tts, utils

from voice_worker.providers.local_http import LocalServer

_RATE = 22_050


class LocalTTS(tts.TTS):
    """Sentence by sentence: the session hands over whole sentences, the sound of each streams back."""

    def __init__(self, *, server: LocalServer, model: str, voice: str, speed: float) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=_RATE, num_channels=1)
        self.server, self._model, self.voice, self.speed = server, model, voice, speed

    @property
    def model(self) -> str:
        return self._model

    @property
    def provider(self) -> str:
        return "local"

    def synthesize(self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> "LocalSpeech":
        return LocalSpeech(tts=self, input_text=text, conn_options=conn_options)

    async def aclose(self) -> None:
        await self.server.aclose()


class LocalSpeech(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        source = self._tts
        if not isinstance(source, LocalTTS):
            raise TypeError("LocalSpeech belongs to LocalTTS")
        wanted = {"text": self.input_text, "voice": source.voice, "speed": source.speed}
        async with source.server.post("/v1/synthesize", timeout_s=self._conn_options.timeout, json=wanted) as answer:
            output_emitter.initialize(
                request_id=utils.shortuuid("tts_"),
                sample_rate=int(answer.headers["X-Sample-Rate"]),
                num_channels=1,
                mime_type="audio/pcm",
            )
            async for chunk in answer.content.iter_any():
                output_emitter.push(chunk)
        output_emitter.flush()
