"""What a call uses of its providers, as running totals by provider, model and unit.

Providers call themselves as they like; here they get the names of the catalogue, under which they have prices.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from livekit.agents import llm, stt, tts
from livekit.agents.metrics import LLMMetrics, STTMetrics, TTSMetrics

from agents.pipeline import VersionSettings

FLUSH_EVERY_S: Final = 15.0
Kind = Literal["stt", "llm", "tts"]
_Key = tuple[Kind, str, str, str]
_VENDORS: Final = {
    "gemini": "google",
    "vertex ai": "google",
    "google cloud platform": "google",
    "google": "google",
    "elevenlabs": "elevenlabs",
    "openai": "openai",
}


def chosen_models(settings: VersionSettings) -> Mapping[tuple[Kind, str], str]:
    """The model of each provider a version uses, its fallbacks included."""
    sections: dict[Kind, Any] = {"llm": settings.brain, "stt": settings.hearing, "tts": settings.speaking}
    found: dict[tuple[Kind, str], str] = {}
    for kind, section in sections.items():
        if section.fallback_provider:
            found[kind, section.fallback_provider] = section.fallback_model
        found[kind, section.provider] = section.model
    return found


class UsageTotals:
    """Listens to the models of one call. Reasoning tokens count as output, cached input apart from the rest."""

    def __init__(self, settings: VersionSettings, *, append: Callable[[Mapping[str, Any]], None]) -> None:
        self._models = chosen_models(settings)
        self._append = append
        self._totals: dict[_Key, float] = defaultdict(float)
        self._written: dict[_Key, float] = {}

    def listen(self, *, stt_model: stt.STT | None, llm_model: llm.LLM | None, tts_model: tts.TTS | None) -> None:
        for model in (stt_model, llm_model, tts_model):
            if model is not None:
                model.on("metrics_collected", self.count)

    def count(self, metrics: Any) -> None:
        """One request's metrics, from whichever model served it."""
        if isinstance(metrics, LLMMetrics):
            cached = metrics.prompt_cached_tokens or 0
            # The total holds the thinking tokens that `completion_tokens` leaves out.
            output = max(metrics.completion_tokens, metrics.total_tokens - metrics.prompt_tokens)
            self._add("llm", metrics, input_token=metrics.prompt_tokens - cached, cached_input_token=cached, output_token=output)
        elif isinstance(metrics, STTMetrics):
            self._add("stt", metrics, second=metrics.audio_duration)
        elif isinstance(metrics, TTSMetrics):
            self._add("tts", metrics, character=metrics.characters_count)

    async def keep_flushing(self) -> None:
        """For as long as the call lasts."""
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            self.flush()

    def flush(self) -> None:
        """Write the totals that changed."""
        for key, quantity in self._totals.items():
            if self._written.get(key) != quantity:
                self._written[key] = quantity
                kind, provider, model, unit = key
                entry = {"op": "usage", "kind": kind, "provider": provider, "model": model, "unit": unit}
                self._append({**entry, "quantity": round(quantity, 3)})

    def _add(self, kind: Kind, metrics: Any, **quantities: float) -> None:
        metadata = metrics.metadata
        provider = self._provider(kind, (metadata.model_provider if metadata else "") or "")
        model = self._model(kind, provider, (metadata.model_name if metadata else "") or "")
        for unit, quantity in quantities.items():
            if quantity:
                self._totals[kind, provider, model, unit] += quantity

    def _provider(self, kind: Kind, name: str) -> str:
        chosen = [provider for stage, provider in self._models if stage == kind]
        if name in chosen:
            return name
        known = next((ours for theirs, ours in _VENDORS.items() if theirs in name.lower()), "")
        if known in chosen or len(chosen) != 1:
            return known or name or "unknown"
        return chosen[0]

    def _model(self, kind: Kind, provider: str, name: str) -> str:
        return self._models.get((kind, provider), name)
