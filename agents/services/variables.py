"""The variables of a call: what every template may use, and what was given when the call was placed."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from agents.errors import InvalidVariableError, MissingVariableError, UnknownVariableError
from agents.pipeline import Variable

DEFAULT_VARIABLES = ("agent_name", "business_name", "now", "time", "today", "weekday")
Value = str | int | float | bool | None
_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def default_variables(*, at: datetime, timezone: str, agent_name: str, business_name: str) -> dict[str, str]:
    """The values every template has without declaring them; dates and times in the tenant's zone."""
    local = at.astimezone(ZoneInfo(timezone))
    return {
        "agent_name": agent_name,
        "business_name": business_name,
        "now": f"{local:%Y-%m-%d %H:%M}",
        "time": f"{local.hour % 12 or 12}:{local:%M} {'AM' if local.hour < 12 else 'PM'}",
        "today": f"{local:%Y-%m-%d}",
        "weekday": f"{local:%A}",
    }


def check_variables(compiled: Mapping[str, Any], given: Mapping[str, object]) -> dict[str, Value]:
    """The value of every declared variable, typed, for a call that gives `given`.

    Raises MissingVariableError, UnknownVariableError or InvalidVariableError, each naming the variable.
    """
    declared = [Variable.model_validate(variable) for variable in compiled["settings"]["variables"]]
    names = {variable.name for variable in declared}
    for name in given:
        if name not in names:
            known = f"Known: {', '.join(sorted(names))}." if names else "This version declares none."
            raise UnknownVariableError(name, f"There is no variable {name!r}. {known}")
    return {variable.name: _value(variable, given.get(variable.name)) for variable in declared}


def lenient_variables(compiled: Mapping[str, Any], given: Mapping[str, object]) -> dict[str, Value]:
    """`check_variables` for a call that must not fail: what is unknown or does not fit is left out, what is missing is empty."""
    values: dict[str, Value] = {}
    for raw in compiled["settings"]["variables"]:
        variable = Variable.model_validate(raw)
        try:
            values[variable.name] = _value(variable, given.get(variable.name))
        except (InvalidVariableError, MissingVariableError):
            values[variable.name] = None
    return values


def typed_value(variable: Variable, value: object) -> Value:
    """`value` as the variable's type. Raises InvalidVariableError."""
    if variable.type == "boolean":
        truth = _TRUTHS.get(str(value).strip().lower())
        if truth is None:
            raise InvalidVariableError(variable.name, f"Variable {variable.name!r} must be true or false.")
        return truth
    if variable.type == "number":
        return _number(variable, value)
    if isinstance(value, str | int | float):
        return str(value)
    raise InvalidVariableError(variable.name, f"Variable {variable.name!r} must be text.")


def sample_values(variables: Iterable[Variable]) -> dict[str, Value]:
    """Values to try templates with: each variable's example, else its default, else something of its type."""
    plain: dict[str, Value] = {"text": "text", "number": 1, "boolean": True}
    return {
        variable.name: typed_value(variable, sample) if (sample := variable.example or variable.default) else plain[variable.type]
        for variable in variables
    }


def _value(variable: Variable, given: object) -> Value:
    blank = given is None or given == ""
    if blank and variable.required and not variable.default:
        raise MissingVariableError(variable.name, f"Variable {variable.name!r} is required and was not given.")
    value = variable.default if blank else given
    if value == "":
        return {"text": "", "number": None, "boolean": False}[variable.type]
    return typed_value(variable, value)


def _number(variable: Variable, value: object) -> int | float:
    refusal = InvalidVariableError(variable.name, f"Variable {variable.name!r} must be a number.")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise refusal
    try:
        number = float(value)
    except ValueError as error:
        raise refusal from error
    if number - number != 0:  # infinite or not a number
        raise refusal
    return int(number) if number.is_integer() else number
