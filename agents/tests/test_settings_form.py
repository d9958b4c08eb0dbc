"""The form of a version's settings: what it shows is what it saves."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from agents import catalogue
from agents.errors import InvalidSettingsError
from agents.pipeline import VersionSettings
from agents.services.validating import validate_settings
from voiceplatform.lib.schema_forms import schema_form
from voiceplatform.lib.testing import submitted

Form = schema_form(VersionSettings, choices=catalogue.form_choices())
text = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=30)
lines = st.text(st.characters(exclude_categories=("Cc", "Cs"), include_characters="\n"), min_size=1, max_size=60)
variable = st.fixed_dictionaries(
    {"name": st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True), "required": st.booleans(), "default": text, "example": text}
)
some_settings = st.fixed_dictionaries(
    {
        "instructions": lines.map(lambda words: f"Be {words}"),
        "facts": st.lists(text.map(lambda words: f"Fact {words}"), max_size=5),
        "variables": st.lists(variable, max_size=3),
        "opening": st.fixed_dictionaries(
            {"first_speaker": st.sampled_from(["agent", "caller"]), "greeting": lines.map(lambda words: f"Hi {words}")}
        ),
        "turn_taking": st.fixed_dictionaries(
            {"min_endpointing_delay_s": st.floats(0.1, 3), "max_endpointing_delay_s": st.floats(3, 10)}
        ),
        "limits": st.fixed_dictionaries({"max_duration_s": st.integers(601, 7200), "duration_warning_s": st.integers(0, 600)}),
        "recording": st.fixed_dictionaries({"mode": st.sampled_from(["off", "on", "after_consent"])}),
    }
)


@examples(max_examples=60, deadline=None)
@given(given_settings=some_settings)
def test_showing_and_sending_the_form_changes_nothing(given_settings: dict[str, Any]) -> None:
    stored = VersionSettings.model_validate(given_settings).model_dump(mode="json")
    form = Form(submitted(Form(initial=stored)), initial=stored)
    assert form.is_valid(), form.errors
    assert VersionSettings.model_validate(form.to_data()).model_dump(mode="json") == stored


def test_the_form_shows_every_setting() -> None:
    shown = {field.name for part in Form().fieldsets for field in part.fields}
    expected: set[str] = set()
    for name, value in VersionSettings().model_dump().items():
        expected |= {f"{name}.{inner}" for inner in value} if isinstance(value, dict) else {name}
    assert shown == expected


def test_every_setting_has_a_title_and_a_help_text() -> None:
    fields = [field for part in Form().fieldsets for field in part.fields]
    assert [field.name for field in fields if not field.label or not field.help_text] == []
    assert all(part.title for part in Form().fieldsets[1:])


@pytest.mark.parametrize("field", ["brain.model", "hearing.provider", "speaking.fallback_model"])
def test_a_choice_that_was_retired_is_shown_and_refused_by_name(field: str) -> None:
    section, name = field.split(".")
    stored = VersionSettings().model_dump(mode="json")
    stored[section][name] = "retired"
    form = Form(submitted(Form(initial=stored)), initial=stored)
    assert "retired (no longer offered)" in str(Form(initial=stored)[field])
    assert form.is_valid(), form.errors
    assert form.to_data()[section][name] == "retired"
    with pytest.raises(InvalidSettingsError) as caught:
        validate_settings(form.to_data())
    assert all(path.startswith(section) for path in caught.value.errors)
