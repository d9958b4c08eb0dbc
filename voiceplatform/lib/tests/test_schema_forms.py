from enum import Enum
from typing import Any, Literal

import pytest
from django import forms
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator

from voiceplatform.lib.schema_forms import schema_form
from voiceplatform.lib.testing import submitted


class Colour(Enum):
    RED = "red"
    DARK_BLUE = "dark_blue"


def extra(**values: str) -> dict[str, Any]:
    return {"json_schema_extra": values}


class Row(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)

    name: str = Field(title="Name", min_length=1, max_length=20)
    kind: Literal["text", "long_number"] = Field("text", title="Kind")
    size: int | None = Field(None, title="Size", ge=0)
    needed: bool = Field(False, title="Needed")


class Waits(BaseModel):
    """How long to wait."""

    shortest_s: float = Field(0.5, title="Shortest wait", description="No sooner.", ge=0.1, le=3, **extra(unit="s"))
    longest_s: float = Field(3.0, title="Longest wait", ge=0.1, le=10, **extra(unit="s"))

    @field_validator("longest_s")
    @classmethod
    def _ordered(cls, value: float, info: Any) -> float:
        if value < info.data.get("shortest_s", value):
            raise ValueError("must not be less than the shortest")
        return value


class Deep(BaseModel):
    inner: Waits = Field(default_factory=Waits, title="Inner waits")


class Sample(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)

    title: str = Field("Hello", title="Title", max_length=30)
    story: str = Field("", title="Story", max_length=5000, **extra(widget="textarea"))
    nickname: str | None = Field(None, title="Nickname", min_length=1)
    count: int = Field(3, title="Count", ge=0, le=1000)
    ratio: float = Field(1.0, title="Ratio")
    on: bool = Field(True, title="On")
    mode: Literal["fast", "very_slow"] = Field("fast", title="Mode")
    colour: Colour = Field(Colour.RED, title="Colour")
    model: str = Field("small", title="Model")
    voice: str = Field("joe", title="Voice", **extra(widget="suggest"))
    facts: tuple[str, ...] = Field((), title="Facts", max_length=3, **extra(widget="lines"))
    rows: tuple[Row, ...] = Field((), title="Rows", max_length=4, **extra(widget="table"))
    free: dict[str, Any] = Field(default_factory=dict)
    waits: Waits = Field(default_factory=Waits, title="Waits")
    deep: Deep = Field(default_factory=Deep, title="Deep")


CHOICES = {
    "model": lambda: [("Local", [("small", "Small"), ("large", "Large")])],
    "voice": lambda: [("Local", [("joe", "Joe")]), ("robin", "Robin")],
}
SampleForm = schema_form(Sample, choices=CHOICES)


line = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\u2028\u2029"), max_size=20).map(str.strip)
story = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=80).map(str.strip)
number = st.floats(0.1, 3, allow_nan=False)
waits = st.fixed_dictionaries({"shortest_s": number, "longest_s": st.floats(3, 10)})
row = st.fixed_dictionaries(
    {
        "name": line.filter(bool),
        "kind": st.sampled_from(["text", "long_number"]),
        "size": st.none() | st.integers(0, 10**6),
        "needed": st.booleans(),
    }
)
sample = st.fixed_dictionaries(
    {
        "title": line,
        "story": story,
        "nickname": st.none() | line.filter(bool),
        "count": st.integers(0, 1000),
        "ratio": st.floats(allow_nan=False, allow_infinity=False),
        "on": st.booleans(),
        "mode": st.sampled_from(["fast", "very_slow"]),
        "colour": st.sampled_from(["red", "dark_blue"]),
        "model": st.sampled_from(["small", "large", "retired-model"]),
        "voice": line,
        "facts": st.lists(line.filter(bool), max_size=3),
        "rows": st.lists(row, max_size=4),
        "free": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        "waits": waits,
        "deep": st.fixed_dictionaries({"inner": waits}),
    }
)


@settings(max_examples=120, deadline=None)
@given(data=sample)
def test_showing_and_sending_a_form_changes_nothing(data: dict[str, Any]) -> None:
    Sample.model_validate(data)
    form = SampleForm(submitted(SampleForm(initial=data)), initial=data)
    assert form.is_valid(), form.errors
    assert form.to_data() == data


def test_an_empty_form_shows_the_defaults() -> None:
    form = SampleForm(submitted(SampleForm()))
    assert form.is_valid(), form.errors
    assert form.to_data() == {key: value for key, value in Sample().model_dump(mode="json").items() if key != "free"}


def test_a_prefix_keeps_two_forms_apart() -> None:
    data = {"title": "Mine", "rows": [{"name": "a", "kind": "text", "size": None, "needed": True}]}
    sent = submitted(SampleForm(initial=data, prefix="settings"))
    form = SampleForm(sent, prefix="settings")
    assert form.is_valid(), form.errors
    assert form.to_data()["rows"] == data["rows"]
    assert all(key.startswith("settings-") for key in sent)


def test_fields_say_label_unit_help_and_range() -> None:
    field = SampleForm()["waits.shortest_s"]
    assert field.label == "Shortest wait (s)"
    assert field.help_text == "No sooner. Between 0.1 and 3."
    assert 'min="0.1"' in str(field)
    assert 'max="3"' in str(field)


def test_sections_are_fieldsets_in_the_order_of_the_schema() -> None:
    sections = SampleForm().fieldsets
    assert [(part.key, part.title) for part in sections] == [
        ("", ""),
        ("waits", "Waits"),
        ("deep", "Deep"),
        ("deep.inner", "Inner waits"),
    ]
    assert sections[1].description == "How long to wait."
    assert [field.name for field in sections[1].fields] == ["waits.shortest_s", "waits.longest_s"]


def test_free_json_is_never_drawn() -> None:
    assert "free" not in SampleForm().fields


def test_choices_come_from_the_caller_and_text_may_be_suggested() -> None:
    form = SampleForm()
    assert '<optgroup label="Local">' in str(form["model"])
    assert '<datalist id="id_voice-offers"><option value="joe">Local: Joe</option><option value="robin">' in str(form["voice"])
    assert 'list="id_voice-offers"' in str(form["voice"])


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"count": "1001"}, "count", "less than or equal to 1000"),
        ({"count": "many"}, "count", "whole number"),
        ({"ratio": ""}, "ratio", "required"),
        ({"mode": "sideways"}, "mode", "valid choice"),
        ({"waits.shortest_s": "2", "waits.longest_s": "1"}, "waits.longest_s", "Must not be less than the shortest."),
        ({"facts": "a\nb\n\nc\nd"}, "facts", "At most 3 entries; these are 4."),
        ({"rows-0-size": "5"}, "rows", "Row 1, Name: This field is required."),
        ({"rows-2-name": "x" * 21}, "rows", "Row 3, Name: Ensure this value has at most 20 characters"),
        ({"title": "a\x00b"}, "title", "Null characters"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(change: dict[str, str], field: str, message: str) -> None:
    data = submitted(SampleForm())
    for key, value in change.items():
        data[key] = value
    form = SampleForm(data)
    assert not form.is_valid()
    assert list(form.errors) == [field]
    assert message in form.errors[field][0]


def test_errors_from_elsewhere_are_placed_by_their_path() -> None:
    data = submitted(SampleForm(initial={"facts": ["a", "b"]}))
    data["rows-1-name"] = "second"
    form = SampleForm(data)
    assert form.is_valid()
    form.add_schema_errors({"model": "no", "facts.1": "bad", "rows.0.name": "odd", "tools.x": "gone", "waits.shortest_s": "low"})
    assert {key: list(value) for key, value in form.errors.items()} == {
        "model": ["no"],
        "facts": ["Line 2: bad"],
        "rows": ["Row 2, Name: odd"],
        "__all__": ["tools.x: gone"],
        "waits.shortest_s": ["low"],
    }


def test_a_sent_form_is_shown_again_as_it_was_typed() -> None:
    data = submitted(SampleForm())
    data["rows-0-name"], data["rows-0-size"], data["facts"] = "one", "many", "a\r\nb"
    form = SampleForm(data)
    assert not form.is_valid()
    assert submitted(form)["rows-0-size"] == "many"
    assert submitted(form)["facts"] == "a\r\nb"


@pytest.mark.parametrize(("story", "fits"), [("ab\n" * 1666 + "ab", True), ("ab\n" * 1666 + "abc", False)])
def test_a_newline_counts_once_in_the_length_of_a_text(story: str, fits: bool) -> None:
    form = SampleForm(submitted(SampleForm(initial={"story": story})))
    assert form.is_valid() is fits
    assert form.errors == {} if fits else "at most 5000 characters (it has 5001)" in form.errors["story"][0]


def test_a_removed_row_leaves_the_list() -> None:
    stored = [{"name": name, "kind": "text", "size": None, "needed": True} for name in ("a", "b")]
    data = submitted(SampleForm(initial={"rows": stored}))
    data["rows-0-name"] = ""
    form = SampleForm(data)
    assert form.is_valid(), form.errors
    assert form.to_data()["rows"] == stored[1:]


def test_widgets_can_be_replaced_everywhere() -> None:
    class Switch(forms.CheckboxInput):
        pass

    form = schema_form(Sample, widgets={forms.BooleanField: Switch, forms.CharField: forms.TextInput(attrs={"class": "nice"})})()
    assert isinstance(form.fields["on"].widget, Switch)
    assert isinstance(form.fields["rows"].columns["needed"].widget, Switch)  # type: ignore[attr-defined]
    assert 'class="nice"' in str(form["title"])
    assert str(form["rows"]).count('class="nice"') == 3


def test_cells_escape_what_they_show() -> None:
    html = str(SampleForm(initial={"rows": [{"name": '"><script>'}]})["rows"])
    assert "<script>" not in html
