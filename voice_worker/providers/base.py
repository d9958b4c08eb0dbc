"""What every provider builder shares: its settings, its errors, what the language model is told about a tool."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class ProviderConfigError(Exception):
    """A stage cannot be built; the text names the setting or server at fault and the way out."""


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """One stage of a conversation: who runs it, with what, and who takes over when it fails.

    Options of language models: temperature, max_output_tokens. Of recognition: language. Of synthesis: voice, speed, language.
    """

    provider: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fallbacks: tuple["StageSettings", ...] = ()


def require(*, name: str, value: str, provider: str) -> str:
    """The value of a setting a provider cannot do without."""
    if not value:
        raise ProviderConfigError(f"{provider} needs {name}, which is not set. Set it in the environment or in .env.")
    return value
