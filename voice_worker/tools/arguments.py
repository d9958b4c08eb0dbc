"""Checking what a model passes to a tool: nothing else in the way does."""

from collections.abc import Mapping
from typing import Any, Final

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


class BadArgumentsError(ValueError):
    """The text tells the model what to change."""


def checked(given: object, *, schema: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The arguments that have a value, and the names of required ones that have none. Raises BadArgumentsError."""
    if not isinstance(given, Mapping):
        raise BadArgumentsError("The arguments must be one JSON object.")
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    if unknown := [str(name) for name in given if name not in properties]:
        known = ", ".join(properties) or "none"
        raise BadArgumentsError(f"Unknown argument {unknown[0][:40]!r}. Known arguments: {known}.")
    values = {name: _value(name, given[name], properties[name]) for name in given if not _is_blank(given[name])}
    return values, [name for name in schema.get("required", ()) if name not in values]


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _value(name: str, value: object, schema: Mapping[str, Any]) -> object:
    kind = schema.get("type", "string")
    is_misplaced_truth = isinstance(value, bool) and kind != "boolean"
    if is_misplaced_truth or not isinstance(value, _TYPES.get(kind, (object,))):
        raise BadArgumentsError(f"{name} must be a {kind}.")
    if isinstance(value, str):
        value = " ".join(value.split())
        if len(value) > schema.get("maxLength", len(value)):
            raise BadArgumentsError(f"{name} is longer than {schema['maxLength']} characters.")
    if "enum" in schema and value not in schema["enum"]:
        raise BadArgumentsError(f"{name} must be one of: {', '.join(str(choice) for choice in schema['enum'])}.")
    if isinstance(value, int | float):
        _check_range(name, value, schema)
    return value


def _check_range(name: str, value: float, schema: Mapping[str, Any]) -> None:
    least, most = schema.get("minimum"), schema.get("maximum")
    if (least is not None and value < least) or (most is not None and value > most):
        raise BadArgumentsError(f"{name} must be between {least} and {most}.")
