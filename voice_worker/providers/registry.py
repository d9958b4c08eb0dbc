"""From settings to working stages: builders by provider, several of them behind one that fails over."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import TypeVar

from django.conf import settings
from livekit.agents import inference, llm, stt, tts

from voice_worker.providers.base import ProviderConfigError, StageSettings

T = TypeVar("T")

_MODULES = {
    "llm": {"local": "local", "google": "google", "openai": "openai"},
    "stt": {"local": "local", "google": "google", "elevenlabs": "elevenlabs"},
    "tts": {"local": "local", "google": "google", "elevenlabs": "elevenlabs"},
}
_TEST = "test"
_ATTEMPT_S, _LOCAL_ATTEMPT_S = 5.0, 30.0


def build_llm(stage: StageSettings) -> llm.LLM:
    """Raises ProviderConfigError naming what is missing."""
    models: list[llm.LLM] = [_builder("llm", member)(member) for member in _members(stage)]
    if len(models) == 1:
        return models[0]
    # The local model may first have to read a long prompt; a vendor that is silent for so long is gone.
    patience = _LOCAL_ATTEMPT_S if stage.provider == "local" else _ATTEMPT_S
    return llm.FallbackAdapter(models, attempt_timeout=patience)


def build_stt(stage: StageSettings) -> stt.STT:
    ears: list[stt.STT] = [_builder("stt", member)(member) for member in _members(stage)]
    if len(ears) == 1:
        return ears[0]
    vad = None if all(ear.capabilities.streaming for ear in ears) else inference.VAD()
    return stt.FallbackAdapter(ears, vad=vad)


def build_tts(stage: StageSettings) -> tts.TTS:
    voices: list[tts.TTS] = [_builder("tts", member)(member) for member in _members(stage)]
    return voices[0] if len(voices) == 1 else tts.FallbackAdapter(voices, max_retry_per_tts=1)


async def check_local_servers(
    *, brain: StageSettings, hearing: StageSettings | None = None, speaking: StageSettings | None = None
) -> None:
    """Raises ProviderConfigError when a local server that a call relies on does not answer.

    A local server that only stands in for a vendor is not checked: the call can begin without it.
    """
    local = import_module("voice_worker.providers.local")
    checks = [local.check_llm()] if brain.provider == "local" else []
    if any(stage and stage.provider == "local" for stage in (hearing, speaking)):
        checks.append(local.check_speech())
    await asyncio.gather(*checks)


def _members(stage: StageSettings) -> Iterable[StageSettings]:
    return [stage, *stage.fallbacks]


def _builder(kind: str, stage: StageSettings) -> Callable[[StageSettings], T]:
    builders = _builders(kind, test=bool(getattr(settings, "VP_TEST_PROVIDERS", False)))
    if stage.provider not in builders:
        raise ProviderConfigError(f"No provider {stage.provider!r} for {kind}. Known: {', '.join(sorted(builders))}")
    module = import_module(f"voice_worker.providers.{builders[stage.provider]}")
    build: Callable[[StageSettings], T] = getattr(module, f"build_{kind}")
    return build


@cache
def _builders(kind: str, *, test: bool) -> Mapping[str, str]:
    return {**_MODULES[kind], _TEST: "constant"} if test else _MODULES[kind]
