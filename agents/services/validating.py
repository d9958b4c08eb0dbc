"""Whether settings and tools can be saved: the schema first, then what the catalogues know."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from agents import catalogue
from agents.catalogue import SECTIONS, Provider, Stage
from agents.errors import InvalidSettingsError, InvalidVariableError, LiquidError
from agents.liquid import check_template, render
from agents.pipeline import TEMPLATE_FIELDS, VersionSettings
from agents.services.variables import DEFAULT_VARIABLES, sample_values, typed_value
from agents.tools import TOOLS
from voiceplatform.lib.schema_errors import schema_errors

Problems = Iterator[tuple[str, str]]


def validate_settings(settings: Mapping[str, Any]) -> VersionSettings:
    """Raises InvalidSettingsError with one message per dotted field."""
    try:
        parsed = VersionSettings.model_validate(settings)
    except ValidationError as error:
        raise InvalidSettingsError(schema_errors(error)) from error
    _refuse([*_variable_problems(parsed), *_catalogue_problems(parsed)])
    return parsed


def validate_tools(tools: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Each granted tool's configuration, complete. Raises InvalidSettingsError with fields under `tools.`."""
    errors: dict[str, str] = {}
    checked: dict[str, dict[str, Any]] = {}
    for key in sorted(tools):
        if key not in TOOLS:
            errors[f"tools.{key}"] = f"There is no tool {key!r}. Known: {_listed(TOOLS)}."
            continue
        try:
            checked[key] = TOOLS[key].config_schema.model_validate(tools[key]).model_dump(mode="json")
        except ValidationError as error:
            errors |= {f"tools.{key}.{field}".rstrip("."): message for field, message in schema_errors(error).items()}
    if errors:
        raise InvalidSettingsError(errors)
    return checked


def validate_templates(settings: VersionSettings, *, defaults: Mapping[str, str]) -> None:
    """Raises InvalidSettingsError for a template that is malformed, uses an unknown name or fails with the examples."""
    samples = {**defaults, **sample_values(settings.variables)}
    errors: dict[str, str] = {}
    for field in TEMPLATE_FIELDS:
        template: Any = settings
        for part in field.split("."):
            template = getattr(template, part)
        try:
            check_template(template, samples)
            render(template, samples)
        except LiquidError as error:
            errors[field] = str(error)
    if errors:
        raise InvalidSettingsError(errors)


def _refuse(problems: list[tuple[str, str]]) -> None:
    errors: dict[str, str] = {}
    for field, message in problems:
        errors.setdefault(field, message)
    if errors:
        raise InvalidSettingsError(errors)


def _variable_problems(settings: VersionSettings) -> Problems:
    seen: set[str] = set()
    for index, variable in enumerate(settings.variables):
        at = f"variables.{index}"
        if variable.name in DEFAULT_VARIABLES:
            yield f"{at}.name", f"{variable.name!r} is filled by the platform; choose another name."
        if variable.name in seen:
            yield f"{at}.name", f"{variable.name!r} is declared twice."
        seen.add(variable.name)
        for part, value in (("default", variable.default), ("example", variable.example)):
            try:
                if value:
                    typed_value(variable, value)
            except InvalidVariableError:
                yield f"{at}.{part}", f"{value!r} is not a {variable.type}."


def _catalogue_problems(settings: VersionSettings) -> Problems:
    for stage, section in SECTIONS.items():
        chosen = getattr(settings, section).model_dump()
        yield from _choice_problems(stage, section, chosen, prefix="")
        if chosen["fallback_provider"]:
            yield from _choice_problems(stage, section, chosen, prefix="fallback_")
            yield from _same_problems(section, chosen)
        else:
            for part in ("model", "voice"):
                if chosen.get(f"fallback_{part}"):
                    yield f"{section}.fallback_provider", f"Choose the provider of the fallback {part}, or empty the {part}."


def _choice_problems(stage: Stage, section: str, chosen: Mapping[str, Any], *, prefix: str) -> Problems:
    known = catalogue.providers(stage)
    key, model = chosen[f"{prefix}provider"], chosen[f"{prefix}model"]
    provider = known.get(key)
    if provider is None:
        yield f"{section}.{prefix}provider", f"There is no provider {key!r}. Known: {_listed(known)}."
        return
    if model not in provider.models:
        yield f"{section}.{prefix}model", f"{provider.label} has no model {model!r}. Known: {_listed(provider.models)}."
    if provider.voices is not None:
        yield from _voice_problems(provider, f"{section}.{prefix}voice", chosen[f"{prefix}voice"])
    language = str(chosen.get("language", ""))
    if language and provider.languages and language[:2] not in provider.languages:
        yield f"{section}.language", f"{provider.label} does not know {language!r}. Known: {_listed(provider.languages)}."


def _voice_problems(provider: Provider, field: str, voice: str) -> Problems:
    voices = provider.voices or {}
    if voice in voices or (provider.voice_pattern and re.fullmatch(provider.voice_pattern, voice)):
        return
    known = f"Known: {_listed(voices)}." if voices else f"Expected a voice id such as {provider.voice_example}."
    yield field, f"{provider.label} has no voice {voice!r}. {known}"


def _same_problems(section: str, chosen: Mapping[str, Any]) -> Problems:
    parts = [part for part in ("provider", "model", "voice") if part in chosen]
    if all(chosen[part] == chosen[f"fallback_{part}"] for part in parts):
        yield f"{section}.fallback_{parts[-1]}", "The fallback is the same as the first choice; choose another, or none."


def _listed(names: Mapping[str, Any] | tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
