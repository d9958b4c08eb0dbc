"""The variables of a call."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import InvalidVariableError, MissingVariableError, UnknownVariableError, VariableError
from agents.pipeline import Variable
from agents.services import DEFAULT_VARIABLES, check_variables, default_variables

DECLARED = [
    {"name": "first_name", "required": True},
    {"name": "title", "default": "friend"},
    {"name": "age", "type": "number"},
    {"name": "vip", "type": "boolean"},
]
COMPILED = {"settings": {"variables": [Variable(**fields).model_dump() for fields in DECLARED]}}


def test_values_are_typed_and_defaults_filled_in() -> None:
    assert check_variables(COMPILED, {"first_name": "Ann"}) == {"first_name": "Ann", "title": "friend", "age": None, "vip": False}
    given_all = {"first_name": 7, "title": "Dr.", "age": "41.5", "vip": "yes"}
    assert check_variables(COMPILED, given_all) == {"first_name": "7", "title": "Dr.", "age": 41.5, "vip": True}


@pytest.mark.parametrize(
    ("given_values", "error", "name", "message"),
    [
        ({}, MissingVariableError, "first_name", "'first_name' is required"),
        ({"first_name": ""}, MissingVariableError, "first_name", "'first_name' is required"),
        ({"first_name": None}, MissingVariableError, "first_name", "'first_name' is required"),
        ({"first_nam": "Ann"}, UnknownVariableError, "first_nam", "Known: age, first_name, title, vip."),
        ({"first_name": ["Ann"]}, InvalidVariableError, "first_name", "must be text"),
        ({"first_name": "A", "age": "old"}, InvalidVariableError, "age", "must be a number"),
        ({"first_name": "A", "age": True}, InvalidVariableError, "age", "must be a number"),
        ({"first_name": "A", "age": "nan"}, InvalidVariableError, "age", "must be a number"),
        ({"first_name": "A", "age": float("inf")}, InvalidVariableError, "age", "must be a number"),
        ({"first_name": "A", "vip": "maybe"}, InvalidVariableError, "vip", "must be true or false"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(given_values: dict[str, Any], error: Any, name: str, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        check_variables(COMPILED, given_values)
    assert caught.value.name == name


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("first_name", "title", "age", "vip", "x"), anything)))
def test_checking_never_fails_in_another_way(values: dict[str, Any]) -> None:
    with suppress(VariableError):
        assert check_variables(COMPILED, values).keys() == {"first_name", "title", "age", "vip"}


def test_dates_are_those_of_the_tenants_zone() -> None:
    at = datetime(2026, 11, 24, 2, 5, tzinfo=UTC)
    values = default_variables(at=at, timezone="America/Chicago", agent_name="Ava", business_name="Bright Smile")
    assert values == {
        "agent_name": "Ava",
        "business_name": "Bright Smile",
        "now": "2026-11-23 20:05",
        "time": "8:05 PM",
        "today": "2026-11-23",
        "weekday": "Monday",
    }
    assert tuple(values) == DEFAULT_VARIABLES


@pytest.mark.parametrize(("hour", "spoken"), [(0, "12:30 AM"), (9, "9:30 AM"), (12, "12:30 PM"), (23, "11:30 PM")])
def test_the_time_is_told_on_a_twelve_hour_clock(hour: int, spoken: str) -> None:
    at = datetime(2026, 1, 1, hour, 30, tzinfo=UTC)
    assert default_variables(at=at, timezone="UTC", agent_name="", business_name="")["time"] == spoken
