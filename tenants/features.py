"""The registry of features: what can be switched on or off for a tenant, and how each is configured.

Switching is in `tenants/services/features.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from tenants.errors import UnknownFeatureError


class FeatureConfig(BaseModel):
    """Base of every feature's configuration; as it stands, that of a feature without any."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TakeMessageConfig(FeatureConfig):
    max_per_call: int = Field(
        default=2, ge=1, le=5, title="Messages per call", description="How many messages one caller may leave in one call."
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
        key="call-recording",
        label="Call recording",
        description="Calls are recorded, caller and agent on separate channels.",
        schema=FeatureConfig,
        default_enabled=True,
    ),
)
FEATURES: Final[Mapping[str, FeatureSpec]] = {spec.key: spec for spec in _ALL}


def feature_spec(key: str) -> FeatureSpec:
    """Raises UnknownFeatureError naming the features there are."""
    if key not in FEATURES:
        raise UnknownFeatureError(f"there is no feature {key!r}; known: {', '.join(sorted(FEATURES))}")
    return FEATURES[key]
