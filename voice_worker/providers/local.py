"""Builders for the providers of this machine: speech process and local language model. No account, no network."""

from django.conf import settings
from livekit.agents import llm, stt, tts

from agents.tools import TOOLS
from voice_worker.providers.base import ProviderConfigError, StageSettings
from voice_worker.providers.local_http import LocalServer, check_server
from voice_worker.providers.local_llm import LocalLLM
from voice_worker.providers.local_stt import LocalSTT
from voice_worker.providers.local_tts import LocalTTS

_START = "Start it with: make run (or manage.py dev)"
_SPEECH, _BRAIN = "The speech process", "The local language model"


def build_llm(stage: StageSettings) -> llm.LLM:
    return LocalLLM(
        server=LocalServer(url=_url("VP_BRAIN_URL", _BRAIN), what=_BRAIN),
        model=stage.model,
        temperature=float(stage.options.get("temperature", 0.0)),
        max_output_tokens=int(stage.options.get("max_output_tokens", 220)),
        specs=TOOLS,
    )


def build_stt(stage: StageSettings) -> stt.STT:
    language = str(stage.options.get("language", "en"))
    return LocalSTT(server=LocalServer(url=_url("VP_SPEECH_URL", _SPEECH), what=_SPEECH), model=stage.model, language=language)


def build_tts(stage: StageSettings) -> tts.TTS:
    return LocalTTS(
        server=LocalServer(url=_url("VP_SPEECH_URL", _SPEECH), what=_SPEECH),
        model=stage.model,
        voice=str(stage.options.get("voice") or "joe"),
        speed=float(stage.options.get("speed", 1.0)),
    )


async def check_llm() -> None:
    root = _url("VP_BRAIN_URL", _BRAIN).removesuffix("/v1")
    await check_server(url=root, health_path="/health", what=_BRAIN, fix=_START)


async def check_speech() -> None:
    await check_server(url=_url("VP_SPEECH_URL", _SPEECH), health_path="/health", what=_SPEECH, fix=_START)


def _url(name: str, what: str) -> str:
    url = str(getattr(settings, name, "")).rstrip("/")
    if not url:
        raise ProviderConfigError(f"{what} has no address: {name} is not set. {_START}, or set {name} to where it answers.")
    return url
