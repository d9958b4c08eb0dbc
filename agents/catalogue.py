"""Who can run each stage of a conversation, as data: providers, their models, voices and languages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from django.conf import settings

Stage = Literal["llm", "stt", "tts"]
Choice = tuple[str, str | list[tuple[str, str]]]
SECTIONS: Mapping[Stage, str] = {"llm": "brain", "stt": "hearing", "tts": "speaking"}
"""The section of a version's settings that chooses each stage's provider."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One vendor of a stage.

    `needs` are the settings (and environment variables) it takes to run it. An empty `languages` means any.
    `voices` is None where there are none to choose. With a `voice_pattern`, voices outside the list pass when they match it.
    """

    label: str
    models: Mapping[str, str]
    needs: tuple[str, ...] = ()
    voices: Mapping[str, str] | None = None
    voice_pattern: str = ""
    voice_example: str = ""
    languages: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """The names in `needs` that this installation has no value for."""
        return [name for name in self.needs if not getattr(settings, name, "")]


# What OpenAI's Whisper models were trained to recognise.
_WHISPER = (
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha he hi hr ht hu hy id is it ja jw ka "
    "kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv "
    "sw ta te tg th tk tl tr tt uk ur uz vi yi yo zh"
)
WHISPER_LANGUAGES = tuple(_WHISPER.split())

CHIRP_VOICES = {
    f"en-US-Chirp3-HD-{name}": f"{name} ({kind}, US English)"
    for name, kind in {
        "Achernar": "female",
        "Aoede": "female",
        "Charon": "male",
        "Fenrir": "male",
        "Kore": "female",
        "Leda": "female",
        "Orus": "male",
        "Puck": "male",
        "Zephyr": "female",
    }.items()
}

STAGES: Mapping[Stage, Mapping[str, Provider]] = {
    "llm": {
        "local": Provider(
            label="On this machine",
            needs=("VP_BRAIN_URL",),
            models={"default": "Qwen2.5-Coder 1.5B", "small": "Qwen2.5-Coder 0.5B (less exact)"},
        ),
        "google": Provider(
            label="Google Gemini",
            needs=("GEMINI_API_KEY",),
            models={
                "gemini-3.8-flash": "Gemini 3.8 Flash",
                "gemini-3.5-flash": "Gemini 3.5 Flash",
                "gemini-3.5-flash-lite": "Gemini 3.5 Flash-Lite",
                "gemini-3.1-flash-lite": "Gemini 3.1 Flash-Lite",
                "gemini-4-argon": "Gemini 4 Argon",
            },
        ),
        "openai": Provider(
            label="OpenAI",
            needs=("OPENAI_API_KEY",),
            models={
                "gpt-6-luna": "GPT-6 Luna",
                "gpt-6-sol": "GPT-6 Sol",
                "gpt-6.1-terra": "GPT-6.1 Terra",
                "gpt-6.1-sol": "GPT-6.1 Sol",
                "gpt-5.4-mini": "GPT-5.4 mini",
            },
        ),
    },
    "stt": {
        "local": Provider(
            label="On this machine",
            needs=("VP_SPEECH_URL",),
            models={"whisper-base": "Whisper base"},
            languages=WHISPER_LANGUAGES,
        ),
        "google": Provider(
            label="Google Cloud Speech",
            needs=("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_CREDENTIALS"),
            models={"chirp_3": "Chirp 3", "telephony": "Telephony"},
        ),
        "elevenlabs": Provider(
            label="ElevenLabs",
            needs=("ELEVEN_API_KEY",),
            models={"scribe_v2_realtime": "Scribe v2 realtime"},
        ),
    },
    "tts": {
        "local": Provider(
            label="On this machine",
            needs=("VP_SPEECH_URL",),
            models={"piper": "Piper (espeak-ng where Piper is absent)"},
            voices={"joe": "Joe (US English)", "robin": "Robin (US English)"},
        ),
        "google": Provider(
            label="Google Cloud Text-to-Speech",
            needs=("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_CREDENTIALS"),
            models={"chirp3-hd": "Chirp 3 HD"},
            voices=CHIRP_VOICES,
            voice_pattern=r"[a-z]{2,3}-[A-Z]{2}-Chirp3-HD-[A-Z][a-z]+",
            voice_example="de-DE-Chirp3-HD-Kore",
        ),
        "elevenlabs": Provider(
            label="ElevenLabs",
            needs=("ELEVEN_API_KEY",),
            models={"eleven_flash_v2_5": "Flash v2.5", "eleven_multilingual_v2": "Multilingual v2"},
            voices={},
            voice_pattern=r"[A-Za-z0-9]{20}",
            voice_example="21m00Tcm4TlvDq8ikWAM",
        ),
    },
}

# Predictable stand-ins for tests; offered only where VP_TEST_PROVIDERS is on.
TEST_PROVIDERS: Mapping[Stage, Provider] = {
    "llm": Provider(label="Test", models={"rules": "Answers by rule"}),
    "stt": Provider(label="Test", models={"constant": "Hears a fixed text"}),
    "tts": Provider(label="Test", models={"tone": "Speaks tones"}, voices={"tone": "Tone"}),
}


def providers(stage: Stage) -> Mapping[str, Provider]:
    """The providers that may be chosen for a stage here."""
    if settings.VP_TEST_PROVIDERS:
        return {**STAGES[stage], "test": TEST_PROVIDERS[stage]}
    return STAGES[stage]


def form_choices() -> Mapping[str, Callable[[], list[Choice]]]:
    """What a form of a version's settings offers for each dotted field; models and voices grouped by provider."""
    offers: dict[str, Callable[[], list[Choice]]] = {}
    for stage, section in SECTIONS.items():
        for prefix in ("", "fallback_"):
            none: list[Choice] = [("", "none")] if prefix else []
            offers[f"{section}.{prefix}provider"] = partial(_provider_choices, stage, none)
            offers[f"{section}.{prefix}model"] = partial(_grouped_choices, stage, "models", none)
            if stage == "tts":
                offers[f"{section}.{prefix}voice"] = partial(_grouped_choices, stage, "voices", none)
    return offers


def _provider_choices(stage: Stage, none: list[Choice]) -> list[Choice]:
    labels = {
        key: f"{provider.label} (needs {', '.join(missing)})" if (missing := provider.missing()) else provider.label
        for key, provider in providers(stage).items()
    }
    return [*none, *labels.items()]


def _grouped_choices(stage: Stage, what: Literal["models", "voices"], none: list[Choice]) -> list[Choice]:
    offers = {provider.label: getattr(provider, what) for provider in providers(stage).values()}
    return [*none, *((label, list(offer.items())) for label, offer in offers.items() if offer)]
