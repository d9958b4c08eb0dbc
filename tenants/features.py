"""The registry of features: what can be switched on or off for a tenant, and how each is configured.

Switching is in `tenants/services/features.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tenants.errors import InvalidFeatureConfigError, UnknownFeatureError
from voiceplatform.lib.schema_errors import schema_errors

Choice = Mapping[str, Any]  # {"enabled": bool, "config": {…}}


class FeatureConfig(BaseModel):
    """Base of every feature's configuration; as it stands, that of a feature without any."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TakeMessageConfig(FeatureConfig):
    max_per_call: int = Field(
        default=2, ge=1, le=5, title="Messages per call", description="How many messages one caller may leave in one call."
    )


class RetentionConfig(FeatureConfig):
    days: int = Field(
        default=90, ge=1, le=3650, title="Days", description="A recording is deleted so many days after it was stored."
    )


class StoragePolicyConfig(FeatureConfig):
    keeps: Literal["no_recording", "no_content"] = Field(
        default="no_recording", title="Keep", description="All but recordings, or nothing of what is said."
    )


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One feature; a tenant without a choice of its own has it as `default_enabled` says, with the schema's defaults."""

    key: str
    label: str
    description: str
    schema: type[FeatureConfig]
    default_enabled: bool


_ALL = (
    FeatureSpec(
        key="voice-agent-tool-take-message",
        label="Take messages",
        description="Agents may write down a caller's name, number and reason for the team.",
        schema=TakeMessageConfig,
        default_enabled=True,
    ),
    FeatureSpec(
        key="call-listening",
        label="Listening in",
        description="Staff may listen to running calls and take them over, each time with a reason that is kept.",
        schema=FeatureConfig,
        default_enabled=True,
    ),
    FeatureSpec(
        key="call-recording",
        label="Call recording",
        description="Calls are recorded, caller and agent on separate channels.",
        schema=FeatureConfig,
        default_enabled=True,
    ),
    FeatureSpec(
        key="recording-retention",
        label="Delete old recordings",
        description="Recordings are deleted after some days, the agents' own settings notwithstanding when those are longer.",
        schema=RetentionConfig,
        default_enabled=False,
    ),
    FeatureSpec(
        key="storage-policy",
        label="Keep less of calls",
        description="Whatever agents are set to, no more than this is kept of their calls.",
        schema=StoragePolicyConfig,
        default_enabled=False,
    ),
    FeatureSpec(
        key="livekit-egress",
        label="Recording by LiveKit",
        description=(
            "Phone calls are recorded by LiveKit's egress service straight into the bucket, instead of by the worker. "
            "A pause ends such a recording."
        ),
        schema=FeatureConfig,
        default_enabled=False,
    ),
)
FEATURES: Final[Mapping[str, FeatureSpec]] = {spec.key: spec for spec in _ALL}


def feature_spec(key: str) -> FeatureSpec:
    """Raises UnknownFeatureError naming the features there are."""
    if key not in FEATURES:
        raise UnknownFeatureError(f"there is no feature {key!r}; known: {', '.join(sorted(FEATURES))}")
    return FEATURES[key]


class Source(StrEnum):
    """Whose choice it is that a feature stands as it does."""

    OVERRIDE = "override"
    PLAN = "plan"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class FeatureState:
    """How a feature stands for a tenant. With `errors` its configuration is invalid, which switches it off."""

    enabled: bool
    config: Mapping[str, Any]
    source: Source
    errors: Mapping[str, str] = field(default_factory=dict)


def feature_state(spec: FeatureSpec, *, override: Choice | None, planned: Choice | None) -> FeatureState:
    """The tenant's own choice, else its plan's, else the registry's."""
    source = Source.OVERRIDE if override is not None else Source.PLAN if planned is not None else Source.DEFAULT
    choice: Choice = override if override is not None else planned if planned is not None else {"enabled": spec.default_enabled}
    config: Mapping[str, Any] = choice.get("config") or {}
    if not choice["enabled"]:
        return FeatureState(enabled=False, config=config, source=source)
    try:
        return FeatureState(enabled=True, config=check_config(spec, config), source=source)
    except InvalidFeatureConfigError as error:
        return FeatureState(enabled=False, config=config, source=source, errors=error.errors)


def check_config(spec: FeatureSpec, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the schema's defaults. Raises InvalidFeatureConfigError naming the fields."""
    try:
        return spec.schema.model_validate(config).model_dump(mode="json")
    except ValidationError as error:
        raise InvalidFeatureConfigError(spec.key, schema_errors(error)) from error
