"""What a Pydantic validation error says to the person who filled in the form or sent the request."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

Detail = Mapping[str, Any]


def schema_errors(error: ValidationError) -> dict[str, str]:
    """One message per dotted field, e.g. {"brain.temperature": "At most 2; this is 3."}."""
    found: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        found.setdefault(".".join(str(part) for part in detail["loc"]), _message(detail))
    return found


def _message(detail: Detail) -> str:
    write = _MESSAGES.get(detail["type"])
    return write(detail, detail.get("ctx", {})) if write else f"{detail['msg']}."


def _number(value: Any) -> str:
    return f"{value:,g}" if isinstance(value, float) else f"{value:,}"


def _too_short(detail: Detail, ctx: Detail) -> str:
    return "This must not be empty." if ctx["min_length"] == 1 else f"At least {_number(ctx['min_length'])} characters."


def _own_words(detail: Detail, ctx: Detail) -> str:
    words = str(ctx["error"])
    return f"{words[:1].upper()}{words[1:]}."


_MESSAGES: Mapping[str, Callable[[Detail, Detail], str]] = {
    "missing": lambda detail, ctx: "This is required.",
    "extra_forbidden": lambda detail, ctx: "There is no such setting.",
    "string_too_long": lambda detail, ctx: (
        f"At most {_number(ctx['max_length'])} characters; this has {_number(len(detail['input']))}."
    ),
    "string_too_short": _too_short,
    "string_pattern_mismatch": lambda detail, ctx: f"{str(detail['input'])[:60]!r} is not of the form this needs.",
    "too_long": lambda detail, ctx: f"At most {_number(ctx['max_length'])} entries; these are {_number(ctx['actual_length'])}.",
    "greater_than_equal": lambda detail, ctx: f"At least {_number(ctx['ge'])}; this is {detail['input']}.",
    "less_than_equal": lambda detail, ctx: f"At most {_number(ctx['le'])}; this is {detail['input']}.",
    "literal_error": lambda detail, ctx: f"{detail['input']!r} is not one of {ctx['expected']}.",
    "enum": lambda detail, ctx: f"{detail['input']!r} is not one of {ctx['expected']}.",
    "finite_number": lambda detail, ctx: "This must be a number.",
    "float_parsing": lambda detail, ctx: "This must be a number.",
    "float_type": lambda detail, ctx: "This must be a number.",
    "int_parsing": lambda detail, ctx: "This must be a whole number.",
    "int_type": lambda detail, ctx: "This must be a whole number.",
    "int_from_float": lambda detail, ctx: "This must be a whole number.",
    "bool_parsing": lambda detail, ctx: "This must be true or false.",
    "bool_type": lambda detail, ctx: "This must be true or false.",
    "string_type": lambda detail, ctx: "This must be text.",
    "tuple_type": lambda detail, ctx: "This must be a list.",
    "list_type": lambda detail, ctx: "This must be a list.",
    "model_type": lambda detail, ctx: "This must be a group of settings.",
    "value_error": _own_words,
}
