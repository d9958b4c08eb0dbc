"""System checks: every tool of the catalogue has its implementation and its feature, and its example fits its schema."""

from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error, register

from agents.tools import TOOLS, ToolSpec
from tenants.features import FEATURES

IMPLEMENTATIONS = "voice_worker.tools"


@register("agents")
def check_tools(app_configs: Any = None, **_kwargs: Any) -> list[CheckMessage]:
    folder = _folder()
    return [problem for spec in TOOLS.values() for problem in check_tool(spec, folder)]


def check_tool(spec: ToolSpec, folder: list[str]) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    if PathFinder.find_spec(f"{IMPLEMENTATIONS}.{spec.key}", folder) is None:
        hint = f"Write {IMPLEMENTATIONS.replace('.', '/')}/{spec.key}.py."
        problems.append(Error(f"Tool {spec.key!r} has no implementation.", hint=hint, id="agents.E001"))
    if spec.feature_key is not None and spec.feature_key not in FEATURES:
        problems.append(Error(f"Tool {spec.key!r} needs the feature {spec.feature_key!r}, which is unknown.", id="agents.E002"))
    if set(spec.example.slots) != set(spec.parameters["properties"]):
        problems.append(Error(f"The example of tool {spec.key!r} does not fill its parameters.", id="agents.E003"))
    return problems


def _folder() -> list[str]:
    """Where the implementations are; nothing of the voice worker is imported to find out."""
    package, _, child = IMPLEMENTATIONS.partition(".")
    spec = find_spec(package)
    return [str(Path(place) / child) for place in (spec.submodule_search_locations or [])] if spec else []
