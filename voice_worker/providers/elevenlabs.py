"""Builders for ElevenLabs: Scribe and its voices."""

import aiohttp
from django.conf import settings
from livekit.agents import NOT_GIVEN, stt, tts
from livekit.plugins import elevenlabs

from voice_worker.providers.base import ProviderConfigError, StageSettings, require


class _Voice(elevenlabs.TTS):
    """Closes the HTTP session that was opened for it: a call outside a room has none to share."""

    def __init__(self, *, http_session: aiohttp.ClientSession, **options: object) -> None:
        super().__init__(http_session=http_session, **options)  # type: ignore[arg-type]
        self._own_session = http_session

    async def aclose(self) -> None:
        await super().aclose()
        await self._own_session.close()


class _Scribe(elevenlabs.STT):
    def __init__(self, *, http_session: aiohttp.ClientSession, **options: object) -> None:
        super().__init__(http_session=http_session, **options)  # type: ignore[arg-type]
        self._own_session = http_session

    async def aclose(self) -> None:
        await super().aclose()
        await self._own_session.close()


def build_tts(stage: StageSettings) -> tts.TTS:
    """Raw samples rather than MP3: no decoder between the vendor and the caller. Needs a running event loop."""
    voice = str(stage.options.get("voice", ""))
    if not voice:
        raise ProviderConfigError("ElevenLabs needs a voice: the 20-character id of one of your voices.")
    key = _key()
    return _Voice(
        http_session=aiohttp.ClientSession(),
        api_key=key,
        voice_id=voice,
        model=stage.model,
        encoding="pcm_24000",
        base_url=stage.options.get("base_url") or NOT_GIVEN,
        voice_settings=elevenlabs.VoiceSettings(
            stability=0.5, similarity_boost=0.75, speed=min(max(float(stage.options.get("speed", 1.0)), 0.7), 1.2)
        ),
    )


def build_stt(stage: StageSettings) -> stt.STT:
    key = _key()
    return _Scribe(
        http_session=aiohttp.ClientSession(),
        api_key=key,
        model=stage.model,
        language_code=str(stage.options.get("language", "en")),
        base_url=stage.options.get("base_url") or NOT_GIVEN,
        tag_audio_events=False,
    )


def _key() -> str:
    return require(name="ELEVEN_API_KEY", value=settings.ELEVEN_API_KEY, provider="ElevenLabs")
