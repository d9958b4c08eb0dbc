"""What changed between two versions, in the words of the settings form."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from pydantic import BaseModel

from agents.pipeline import VersionSettings, upgraded
from agents.selectors import ToolChange, changed_settings, changed_tools
from agents.tools import TOOLS

LONG = 160


@dataclass(frozen=True, slots=True)
class Change:
    """`lines` holds a line-by-line comparison where the values are long or lists."""

    where: str
    old: str
    new: str
    lines: list[tuple[str, str]]  # "added", "removed" or "same", text


def changes(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    old_tools: Mapping[str, Mapping[str, Any]],
    new_tools: Mapping[str, Mapping[str, Any]],
) -> list[Change]:
    settings = [_change(change.title, change.old, change.new, unit=change.unit) for change in changed_settings(old, new)]
    return [*settings, *map(_tool, changed_tools(old_tools, new_tools))]


def _tool(change: ToolChange) -> Change:
    title = f"Tool: {TOOLS[change.key].title if change.key in TOOLS else change.key}"
    if change.old is None:
        return Change(title, "not granted", "granted", [])
    if change.new is None:
        return Change(title, "granted", "not granted", [])
    return _change(title, change.old, change.new)


def _change(where: str, before: Any, after: Any, *, unit: str = "") -> Change:
    old, new = in_words(before, unit), in_words(after, unit)
    if isinstance(before, list) or isinstance(after, list) or max(len(old), len(new)) > LONG:
        return Change(where, "", "", _lines(old, new))
    return Change(where, old, new, [])


def _lines(old: str, new: str) -> list[tuple[str, str]]:
    kinds = {"+": "added", "-": "removed", " ": "same"}
    diff = list(unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1))[2:]
    return [(kinds[line[0]], line[1:]) for line in diff if line[0] in kinds]


def in_words(value: Any, unit: str = "") -> str:
    """A setting as people read it: on, off, lists one entry a line."""
    if value is None or value in ("", [], {}):
        return "empty"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return "\n".join(in_words(entry) for entry in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {in_words(entry)}" for key, entry in value.items() if entry not in ("", None))
    return f"{value} {unit}".strip()


def readable(settings: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """All settings as sections of title and value, in the order of the form."""
    settings = upgraded(settings)
    general: list[tuple[str, str]] = []
    sections: list[tuple[str, list[tuple[str, str]]]] = [("General", general)]
    for name, info in VersionSettings.model_fields.items():
        title = info.title or name
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            sections.append((title, list(_readable(info.annotation, settings.get(name) or {}))))
        elif name in settings:
            general.append((title, in_words(settings[name])))
    return sections


def _readable(model: type[BaseModel], values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, info in model.model_fields.items():
        if name in values:
            unit = info.json_schema_extra.get("unit", "") if isinstance(info.json_schema_extra, dict) else ""
            yield info.title or name, in_words(values[name], str(unit))
