"""A Django form drawn from a Pydantic model: every field with its label, help, unit, range and default.

Sections (models in models) become fieldsets, their fields dotted names such as `opening.greeting`. Values no form
can show, such as free JSON, are not drawn; they pass from `initial` to `to_data` unchanged.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from django import forms
from django.forms.boundfield import BoundField
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from voiceplatform.lib.schema_errors import schema_errors
from voiceplatform.lib.schema_fields import (
    LinesField,
    Offers,
    OpenChoiceField,
    OpenChoicesField,
    TableField,
    TextField,
    suggesting,
)

Widgets = Mapping[type[forms.Field], type[forms.Widget] | forms.Widget]


@dataclass(frozen=True, slots=True)
class Fieldset:
    """One section as the page shows it; the fields outside any section come first, without a title."""

    key: str
    title: str
    description: str
    fields: list[BoundField]


class SchemaForm(forms.Form):
    """Base of the classes `schema_form` makes. `initial` is nested data as `to_data` returns it."""

    schema: ClassVar[type[BaseModel]]

    def __init__(self, data: Any = None, files: Any = None, *, initial: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self._stored = initial or {}
        super().__init__(data, files, initial=dict(_flatten(self.schema, self._stored)), **kwargs)
        for name, field in self.fields.items():
            if isinstance(field, OpenChoiceField | OpenChoicesField):
                field.keep(self.get_initial_for_field(field, name))

    @property
    def fieldsets(self) -> list[Fieldset]:
        sections = [("", "", "", self.schema), *_sections(self.schema)]
        return [
            Fieldset(key, title, description, [self[name] for name in _names(model, key) if name in self.fields])
            for key, title, description, model in sections
        ]

    def clean(self) -> dict[str, Any]:
        if not self.errors:
            try:
                self.schema.model_validate(self.to_data())
            except ValidationError as error:
                self.add_schema_errors(schema_errors(error))
        return self.cleaned_data

    def to_data(self) -> dict[str, Any]:
        """What was filled in, nested as the schema is; for a form without errors."""
        result: dict[str, Any] = {}
        for dotted, stored in _hidden(self.schema, self._stored, self.fields):
            _put(result, dotted, copy.deepcopy(stored))
        for dotted in self.fields:
            _put(result, dotted, self.cleaned_data[dotted])
        return result

    def add_schema_errors(self, errors: Mapping[str, str]) -> None:
        """Show messages that are keyed by dotted path at their fields; those of no field at the top."""
        for path, message in errors.items():
            name = next((name for name in self.fields if path == name or path.startswith(f"{name}.")), None)
            if name is None:
                self.add_error(None, f"{path}: {message}" if path else message)
                continue
            field = self.fields[name]
            place = field.place(path[len(name) + 1 :]) if isinstance(field, LinesField | TableField) else ""
            self.add_error(name, place + message)


def schema_form(
    model: type[BaseModel], *, choices: Mapping[str, Offers] | None = None, widgets: Widgets | None = None
) -> type[SchemaForm]:
    """A form class for `model`.

    `choices` offers values for dotted fields of one string or several; `widgets` replaces the widget of a field class, in
    tables too.
    """
    builder = _Builder(choices or {}, widgets or {})
    return type(f"{model.__name__}Form", (SchemaForm,), {"schema": model, **dict(builder.fields(model))})


class _Builder:
    def __init__(self, choices: Mapping[str, Offers], widgets: Widgets) -> None:
        self._choices = choices
        self._widgets = widgets

    def fields(self, model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, forms.Field]]:
        for name, info in model.model_fields.items():
            kind, _ = _kind(info.annotation)
            if _is_model(kind):
                yield from self.fields(kind, f"{prefix}{name}.")
            elif (field := self._field(info, prefix + name)) is not None:
                field.label = field.label or name.replace("_", " ").capitalize()
                yield prefix + name, field

    def _field(self, info: FieldInfo, dotted: str) -> forms.Field | None:
        kind, nullable = _kind(info.annotation)
        shown = _shown(info)
        if kind is bool:
            return self._make(forms.BooleanField, shown, required=False)
        if kind in (int, float):
            field_class = forms.IntegerField if kind is int else forms.FloatField
            limits = {"min_value": _limit(info, "ge"), "max_value": _limit(info, "le")}
            return self._make(field_class, shown, required=not nullable, **limits)
        if kind is str:
            return self._text(info, dotted, shown, nullable=nullable)
        if values := _values(kind):
            return self._select(kind, values, shown, nullable=nullable)
        return self._many(kind, dotted, shown)

    def _text(self, info: FieldInfo, dotted: str, shown: dict[str, Any], *, nullable: bool) -> forms.Field:
        needed = not nullable and (info.is_required() or bool(_limit(info, "min_length")))
        widget, offers = _extra(info).get("widget"), self._choices.get(dotted)
        if offers is not None and widget != "suggest":
            return self._make(OpenChoiceField, shown, required=needed, choices=offers)
        longest = _limit(info, "max_length")
        empty: dict[str, Any] = {"empty_value": None} if nullable else {}
        if widget == "textarea":
            rows = 14 if (longest or 0) > 2000 else 3
            return self._make(TextField, shown, required=needed, max_length=longest, rows=rows, **empty)
        field = self._make(forms.CharField, shown, required=needed, max_length=longest, **empty)
        if offers is not None:
            field.widget = suggesting(field.widget, offers)
        return field

    def _select(self, kind: Any, values: list[Any], shown: dict[str, Any], *, nullable: bool) -> forms.Field:
        offered = [(str(value), str(value).replace("_", " ").capitalize()) for value in values]
        return self._make(
            forms.TypedChoiceField,
            shown,
            required=not nullable,
            choices=[("", "none"), *offered] if nullable else offered,
            coerce=dict(zip((value for value, _ in offered), values, strict=True)).__getitem__,
            empty_value=None,
        )

    def _many(self, kind: Any, dotted: str, shown: dict[str, Any]) -> forms.Field | None:
        if get_origin(kind) not in (tuple, list):
            return None
        item, _ = _kind(get_args(kind)[0])
        if item is str and (offers := self._choices.get(dotted)) is not None:
            return self._make(OpenChoicesField, shown, required=False, choices=offers)
        if item is str:
            return self._make(LinesField, shown, required=False, rows=8)
        if not _is_model(item):
            return None
        columns = dict(_Builder({}, self._widgets).fields(item))
        return TableField(columns=columns, required=False, **shown) if columns.keys() == item.model_fields.keys() else None

    def _make(self, field_class: type[forms.Field], shown: dict[str, Any], *, rows: int = 0, **options: Any) -> forms.Field:
        # TypedChoiceField and OpenChoiceField take the widget that was given for selects.
        is_select = issubclass(field_class, forms.ChoiceField) and not issubclass(field_class, forms.MultipleChoiceField)
        lookup = forms.ChoiceField if is_select else field_class
        widget = copy.deepcopy(self._widgets.get(lookup, field_class.widget))
        widget = widget() if isinstance(widget, type) else widget
        if rows:
            widget.attrs["rows"] = rows
        return field_class(
            widget=widget, **shown, **{key: value for key, value in options.items() if value is not None or key == "empty_value"}
        )


def _shown(info: FieldInfo) -> dict[str, Any]:
    unit = _extra(info).get("unit", "")
    least, most = _limit(info, "ge"), _limit(info, "le")
    limits = ""
    if least is not None and most is not None:
        limits = f"Between {least:,g} and {most:,g}."
    elif least is not None or most is not None:
        limits = f"At least {least:,g}." if least is not None else f"At most {most:,g}."
    default = None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
    return {
        "label": f"{info.title} ({unit})" if info.title and unit else info.title,
        "help_text": " ".join(part for part in (info.description, limits) if part),
        "initial": _plain(default),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _limit(info: FieldInfo, name: str) -> Any:
    return next((limit for meta in info.metadata if (limit := getattr(meta, name, None)) is not None), None)


def _kind(annotation: Any) -> tuple[Any, bool]:
    """The type without Annotated and None, and whether None is allowed."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        if len(kinds) == 1 and len(kinds) < len(get_args(annotation)):
            return _kind(kinds[0])[0], True
    return annotation, False


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _values(kind: Any) -> list[Any]:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [member.value for member in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []


def _sections(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str, type[BaseModel]]]:
    for name, info in model.model_fields.items():
        kind, _ = _kind(info.annotation)
        if _is_model(kind):
            title = info.title or name.replace("_", " ").capitalize()
            yield prefix + name, title, info.description or (kind.__doc__ or "").strip(), kind
            yield from _sections(kind, f"{prefix}{name}.")


def _names(model: type[BaseModel], key: str) -> list[str]:
    return [f"{key}.{name}" if key else name for name in model.model_fields]


def _flatten(model: type[BaseModel], data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, info in model.model_fields.items():
        kind, _ = _kind(info.annotation)
        if name not in data:
            continue
        if _is_model(kind) and isinstance(data[name], Mapping):
            yield from _flatten(kind, data[name], f"{prefix}{name}.")
        else:
            yield prefix + name, data[name]


def _hidden(model: type[BaseModel], data: Mapping[str, Any], drawn: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(dotted, value) for dotted, value in _flatten(model, data) if dotted not in drawn]


def _put(data: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        data = data.setdefault(parent, {})
    data[last] = value
