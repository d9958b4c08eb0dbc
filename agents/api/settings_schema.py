"""The JSON Schema of a version's settings: as a document of its own, and as a part of the API's description."""

from functools import cache
from typing import Any, Final

from agents.pipeline import VersionSettings

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


@cache
def settings_schema() -> dict[str, Any]:
    document: dict[str, Any] = _public(VersionSettings.model_json_schema(), {})
    return {"$schema": DIALECT, **document}


@cache
def inline_settings_schema() -> dict[str, Any]:
    """The same without references, which another document could not follow."""
    schema = VersionSettings.model_json_schema()
    inlined: dict[str, Any] = _public(schema, schema.pop("$defs"))
    return inlined


def _public(node: Any, parts: dict[str, Any]) -> Any:
    """Without what only forms use; a reference to one of `parts` becomes that part."""
    if isinstance(node, list):
        return [_public(entry, parts) for entry in node]
    if not isinstance(node, dict):
        return node
    part = parts.get(str(node.get("$ref", "")).rpartition("/")[2])
    kept = {key: value for key, value in node.items() if not _is_for_forms(key, value) and not (part and key == "$ref")}
    own = {key: _public(value, parts) for key, value in kept.items()}
    return {**_public(part, parts), **own} if part else own


def _is_for_forms(key: str, value: Any) -> bool:
    return key in ("widget", "unit") and isinstance(value, str) and (key == "widget" or not value)
