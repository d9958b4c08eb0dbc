"""What agents can be made of, as entries of lists: voices, providers, tools."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings

from agents.catalogue import SECTIONS, Provider, providers
from agents.tools import TOOLS
from tenants.services.features import enabled_features


def voice_entries() -> Iterator[dict[str, Any]]:
    for key, provider in providers("tts").items():
        for voice, label in (provider.voices or {}).items():
            yield {"provider": key, "id": voice, "label": label, **_availability(provider)}


def provider_entries() -> Iterator[dict[str, Any]]:
    for stage, section in SECTIONS.items():
        for key, provider in providers(stage).items():
            yield {
                "stage": stage,
                "section": section,
                "id": key,
                "label": provider.label,
                "models": [{"id": model, "label": label} for model, label in provider.models.items()],
                "languages": list(provider.languages),
                "voice_pattern": provider.voice_pattern,
                "voice_example": provider.voice_example,
                **_availability(provider),
            }


def tool_entries() -> Iterator[dict[str, Any]]:
    """The whole catalogue, with what the tenant in scope may use of it."""
    enabled = enabled_features()
    for spec in TOOLS.values():
        needs_feature = spec.feature_key is not None and settings.TOOLS_DECIDED_BY_BACKEND
        yield {
            "key": spec.key,
            "title": spec.title,
            "description": spec.description,
            "risk": spec.risk,
            "feature_key": spec.feature_key,
            "enabled": spec.feature_key in enabled or not needs_feature,
            "parameters_schema": spec.parameters,
            "config_schema": spec.config_schema.model_json_schema(),
        }


def _availability(provider: Provider) -> dict[str, Any]:
    missing = provider.missing()
    return {"available": not missing, "missing": missing}
