"""What each provider's builder makes of an agent's settings, and what it says when something is missing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from google.genai import types
from livekit.agents import NOT_GIVEN, llm, stt, tts
from livekit.plugins import elevenlabs, google, openai

from agents.pipeline import VersionSettings
from voice_worker.pipeline import build_stages
from voice_worker.providers import elevenlabs as eleven_builders
from voice_worker.providers import google as google_builders
from voice_worker.providers import local, registry
from voice_worker.providers import openai as openai_builders
from voice_worker.providers.base import ProviderConfigError, StageSettings
from voice_worker.providers.local_llm import LocalLLM
from voice_worker.providers.local_tts import LocalTTS

CHIRP = "en-US-Chirp3-HD-Charon"


def stage(provider: str, model: str = "m", fallbacks: tuple[StageSettings, ...] = (), **options: Any) -> StageSettings:
    return StageSettings(provider=provider, model=model, options=options, fallbacks=fallbacks)


@pytest.fixture(autouse=True)
def keys(settings: Any, service_account: str) -> None:
    settings.GEMINI_API_KEY, settings.OPENAI_API_KEY, settings.ELEVEN_API_KEY = "gemini", "openai", "eleven"
    settings.GOOGLE_CLOUD_PROJECT, settings.GOOGLE_CLOUD_CREDENTIALS = "my-project", service_account
    settings.VP_BRAIN_URL, settings.VP_SPEECH_URL = "http://127.0.0.1:9/v1", "http://127.0.0.1:8"


@pytest.fixture(scope="session")
def service_account() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(encoding, form, serialization.NoEncryption()).decode()
    account = {"type": "service_account", "project_id": "my-project", "private_key": pem, "client_email": "a@b.example"}
    return json.dumps(account | {"private_key_id": "1", "client_id": "1", "token_uri": "https://oauth2.googleapis.com/token"})


def test_gemini_thinks_as_little_as_it_can() -> None:
    model = google_builders.build_llm(stage("google", "gemini-3.8-flash", temperature=0.4, max_output_tokens=99))
    assert isinstance(model, google.LLM)
    assert (model.model, model._opts.temperature, model._opts.max_output_tokens) == ("gemini-3.8-flash", 0.4, 99)
    assert model._opts.thinking_config == {"thinking_level": types.ThinkingLevel.MINIMAL}
    assert model._opts.vertexai is False
    assert google_builders.thinking_config("gemini-2.5-flash") == {"thinking_budget": 0}
    assert google_builders.thinking_config("gemini-3.8-pro") == {"thinking_level": types.ThinkingLevel.LOW}


def test_gemini_may_be_behind_a_gateway() -> None:
    model = google_builders.build_llm(stage("google", "gemini-3.8-flash", base_url="http://127.0.0.1:9"))
    assert isinstance(model, google.LLM)
    assert model._opts.http_options.base_url == "http://127.0.0.1:9"


async def test_chirp_recognises_in_a_region() -> None:
    ears = google_builders.build_stt(stage("google", "chirp_3", language="en"))
    assert isinstance(ears, google.STT)
    assert (ears._location, ears._config.model, [str(each) for each in ears._config.languages]) == ("us", "chirp_3", ["en-US"])
    other = google_builders.build_stt(stage("google", "telephony", language="de-DE"))
    assert isinstance(other, google.STT)
    assert (other._location, [str(each) for each in other._config.languages]) == ("global", ["de-DE"])


async def test_a_google_voice_brings_its_language() -> None:
    voice = google_builders.build_tts(stage("google", voice=CHIRP, speed=1.2))
    assert isinstance(voice, google.TTS)
    assert (voice._opts.voice.name, voice._opts.voice.language_code, voice._opts.speaking_rate) == (CHIRP, "en-US", 1.2)


def test_openai_s_reasoning_models_get_no_temperature() -> None:
    plain, fixed = (openai_builders.build_llm(stage("openai", name, temperature=0.3)) for name in ("gpt-4.1-mini", "gpt-6-luna"))
    assert isinstance(plain, openai.LLM)
    assert isinstance(fixed, openai.LLM)
    assert (plain._opts.temperature, plain._opts.max_completion_tokens, plain.model) == (0.3, 220, "gpt-4.1-mini")
    assert fixed._opts.temperature is NOT_GIVEN
    there = openai_builders.build_llm(stage("openai", "x", base_url="http://127.0.0.1:9/v1"))
    assert isinstance(there, openai.LLM)
    assert str(there._client.base_url) == "http://127.0.0.1:9/v1/"


async def test_elevenlabs_sends_raw_samples_and_closes_its_own_connection() -> None:
    voice = eleven_builders.build_tts(stage("elevenlabs", "eleven_flash_v2_5", voice="v" * 20, speed=3.0))
    ears = eleven_builders.build_stt(stage("elevenlabs", "scribe_v2_realtime", language="de"))
    assert isinstance(voice, elevenlabs.TTS)
    assert isinstance(ears, elevenlabs.STT)
    assert (voice._opts.voice_id, voice._opts.encoding, voice._opts.voice_settings.speed) == ("v" * 20, "pcm_24000", 1.2)
    assert (voice.model, ears.model) == ("eleven_flash_v2_5", "scribe_v2_realtime")
    sessions = [voice._own_session, ears._own_session]
    await voice.aclose()
    await ears.aclose()
    assert [session.closed for session in sessions] == [True, True]


MISSING: list[tuple[str, Callable[[StageSettings], Any], StageSettings]] = [
    ("GEMINI_API_KEY", google_builders.build_llm, stage("google")),
    ("GOOGLE_CLOUD_PROJECT", google_builders.build_stt, stage("google")),
    ("GOOGLE_CLOUD_CREDENTIALS", google_builders.build_stt, stage("google")),
    ("GOOGLE_CLOUD_CREDENTIALS", google_builders.build_tts, stage("google", voice=CHIRP)),
    ("OPENAI_API_KEY", openai_builders.build_llm, stage("openai")),
    ("ELEVEN_API_KEY", eleven_builders.build_stt, stage("elevenlabs")),
    ("ELEVEN_API_KEY", eleven_builders.build_tts, stage("elevenlabs", voice="v" * 20)),
    ("VP_BRAIN_URL", local.build_llm, stage("local")),
    ("VP_SPEECH_URL", local.build_stt, stage("local")),
    ("VP_SPEECH_URL", local.build_tts, stage("local")),
]


@pytest.mark.parametrize(("name", "build", "given"), MISSING, ids=[f"{each[0]}-{each[1].__name__}" for each in MISSING])
async def test_a_missing_setting_is_named(settings: Any, name: str, build: Callable[[StageSettings], Any], given: Any) -> None:
    setattr(settings, name, "")
    with pytest.raises(ProviderConfigError, match=name):
        build(given)


@pytest.mark.parametrize("build", [google_builders.build_tts, eleven_builders.build_tts])
def test_a_voice_must_be_chosen(build: Callable[[StageSettings], tts.TTS]) -> None:
    with pytest.raises(ProviderConfigError, match="needs a voice"):
        build(stage("any"))


async def test_credentials_that_are_no_json_are_named(settings: Any) -> None:
    settings.GOOGLE_CLOUD_CREDENTIALS = '{"type": '
    with pytest.raises(ProviderConfigError, match="GOOGLE_CLOUD_CREDENTIALS is neither a file nor valid JSON"):
        google_builders.build_tts(stage("google", voice=CHIRP))


async def test_fallbacks_stand_behind_the_first_choice() -> None:
    brain = registry.build_llm(stage("local", "default", (stage("openai", "gpt-6-luna"),), max_output_tokens=50))
    assert isinstance(brain, llm.FallbackAdapter)
    first, second = brain._llm_instances
    assert isinstance(first, LocalLLM)
    assert isinstance(second, openai.LLM)
    assert first.max_output_tokens == 50
    voice = registry.build_tts(stage("elevenlabs", "m", (stage("local", "piper"),), voice="v" * 20))
    ears = registry.build_stt(stage("elevenlabs", "m", (stage("local", "whisper"),)))
    assert isinstance(voice, tts.FallbackAdapter)
    assert isinstance(ears, stt.FallbackAdapter)
    for part in (*voice._tts_instances, *ears._stt_instances, voice, ears):
        await part.aclose()


async def test_the_fallbacks_an_agent_names_are_built() -> None:
    cloud, behind = {"provider": "elevenlabs", "model": "m"}, {"fallback_provider": "local", "fallback_model": "piper"}
    chosen = {
        "brain": {"provider": "google", "model": "m", "fallback_provider": "openai", "fallback_model": "gpt-6-luna"},
        "hearing": {**cloud, **behind, "fallback_model": "whisper-base"},
        "speaking": {**cloud, "voice": "v" * 20, **behind, "fallback_voice": "joe"},
    }
    built = await build_stages(VersionSettings.model_validate(chosen))
    assert isinstance(built.llm, llm.FallbackAdapter)
    assert isinstance(built.stt, stt.FallbackAdapter)
    assert isinstance(built.tts, tts.FallbackAdapter)
    assert isinstance(built.llm._llm_instances[1], openai.LLM)
    assert isinstance(built.tts._tts_instances[1], LocalTTS)
    for part in (*built.stt._stt_instances, *built.tts._tts_instances):
        await part.aclose()
    await built.aclose()


def test_an_unknown_provider_is_answered_with_the_known() -> None:
    with pytest.raises(ProviderConfigError, match=r"No provider 'acme' for llm\. Known: google, local, openai"):
        registry.build_llm(stage("acme"))
