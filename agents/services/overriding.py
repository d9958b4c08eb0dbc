"""What one call may change about its version."""

from collections.abc import Mapping
from typing import Any, Final

from agents.errors import InvalidSettingsError
from agents.models import AgentVersion
from agents.services.compiling import sample_defaults
from agents.services.validating import validate_settings, validate_templates

OVERRIDES: Final[Mapping[str, str]] = {
    "greeting": "opening.greeting",
    "voice": "speaking.voice",
    "language": "hearing.language",
    "max_duration_s": "limits.max_duration_s",
}
"""From the name of an override to the setting it replaces."""

_NAMES: Final = {setting: f"overrides.{name}" for name, setting in OVERRIDES.items()}


def override_settings(compiled: Mapping[str, Any], overrides: Mapping[str, Any], *, version: AgentVersion) -> dict[str, Any]:
    """The document of `version` with the settings that `overrides` names replaced, checked like any others.

    A warning that would come before a shortened call begins is left out. Raises InvalidSettingsError, with the
    fields it was given under `overrides.`.
    """
    if not overrides:
        return dict(compiled)
    unknown = {f"overrides.{name}": f"There is no override {name!r}." for name in overrides if name not in OVERRIDES}
    if unknown:
        raise InvalidSettingsError(unknown)
    try:
        settings = validate_settings(_replaced(compiled["settings"], overrides))
        if "greeting" in overrides:
            validate_templates(settings, defaults=sample_defaults(version))
    except InvalidSettingsError as error:
        raise InvalidSettingsError({_NAMES.get(field, field): message for field, message in error.errors.items()}) from error
    return {**compiled, "settings": settings.model_dump(mode="json")}


def _replaced(settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(settings)
    for name, value in overrides.items():
        section, _, field = OVERRIDES[name].partition(".")
        changed[section] = {**changed[section], field: value}
    limits, longest = changed["limits"], overrides.get("max_duration_s")
    if isinstance(longest, int) and limits["duration_warning_s"] >= longest:
        changed["limits"] = {**limits, "duration_warning_s": 0}
    return changed
