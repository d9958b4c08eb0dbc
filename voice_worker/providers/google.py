"""Builders for Google: Gemini, Cloud Speech-to-Text, Chirp voices."""

import json
import re
from typing import Any

from django.conf import settings
from google.genai import types
from livekit.agents import NOT_GIVEN, llm, stt, tts
from livekit.plugins import google

from voice_worker.providers.base import ProviderConfigError, StageSettings, require

_REGION = "us"  # Chirp 3 recognises in regions only
_SPEECH_END_S = 0.5


def build_llm(stage: StageSettings) -> llm.LLM:
    """One instance per session: it keeps the thought signatures of its conversation. `base_url` is for a gateway."""
    key = require(name="GEMINI_API_KEY", value=settings.GEMINI_API_KEY, provider="Google Gemini")
    base_url = stage.options.get("base_url")
    return google.LLM(
        model=stage.model,
        api_key=key,
        vertexai=False,
        temperature=float(stage.options.get("temperature", 0.0)),
        max_output_tokens=int(stage.options.get("max_output_tokens", 220)),
        thinking_config=thinking_config(stage.model),
        http_options=types.HttpOptions(base_url=str(base_url)) if base_url else NOT_GIVEN,
    )


def thinking_config(model: str) -> types.ThinkingConfigDict:
    """As little thinking as a model allows: a caller is waiting. Each generation refuses the other's way of saying so."""
    if re.match(r"gemini-[12]\b", model):
        return {"thinking_budget": 0}
    return {"thinking_level": types.ThinkingLevel.LOW if "pro" in model else types.ThinkingLevel.MINIMAL}


def build_stt(stage: StageSettings) -> stt.STT:
    location = settings.GOOGLE_CLOUD_LOCATION
    return google.STT(
        model=stage.model,
        languages=_locale(str(stage.options.get("language", "en"))),
        detect_language=False,
        project=_project(),
        location=_REGION if location == "global" and stage.model.startswith("chirp") else location,
        speech_end_timeout=_SPEECH_END_S if stage.model.startswith("chirp") else NOT_GIVEN,
        **_credentials(),
    )


def build_tts(stage: StageSettings) -> tts.TTS:
    voice = str(stage.options.get("voice", ""))
    if not voice:
        raise ProviderConfigError("Google Cloud Text-to-Speech needs a voice. Example: en-US-Chirp3-HD-Charon")
    return google.TTS(
        voice_name=voice,
        language="-".join(voice.split("-")[:2]),
        speaking_rate=float(stage.options.get("speed", 1.0)),
        **_credentials(),
    )


def _locale(language: str) -> str:
    return {"en": "en-US"}.get(language, language)


def _project() -> str:
    return require(name="GOOGLE_CLOUD_PROJECT", value=settings.GOOGLE_CLOUD_PROJECT, provider="Google Cloud Speech")


def _credentials() -> dict[str, Any]:
    """A service account as JSON or as the path of its file. Without one the plugin would look for it on the network."""
    given = require(name="GOOGLE_CLOUD_CREDENTIALS", value=settings.GOOGLE_CLOUD_CREDENTIALS, provider="Google Cloud")
    if not given.lstrip().startswith("{"):
        return {"credentials_file": given}
    try:
        return {"credentials_info": json.loads(given)}
    except json.JSONDecodeError as error:
        raise ProviderConfigError(
            f"GOOGLE_CLOUD_CREDENTIALS is neither a file nor valid JSON ({error}). "
            "Set it to the path of a service account's key file or to its content."
        ) from error
