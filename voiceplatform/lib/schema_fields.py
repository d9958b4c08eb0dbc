"""Form fields and widgets for what a schema holds beyond single values: long text, lines, tables, open choices."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

Offer = tuple[str, Any]
Offers = Callable[[], Sequence[Offer]]
BLANK_ROWS = 3


class TextField(forms.CharField):
    """Text of several lines. Browsers send a newline as CR LF; here it is one character, also for limits."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.replace("\r\n", "\n") if isinstance(value, str) else value)


class LinesField(forms.CharField):
    """A list of texts, one a line; blank lines are dropped."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> Any:
        return [line.strip() for line in super().clean(value).split("\n") if line.strip()]

    def place(self, path: str) -> str:
        return f"Line {int(path) + 1}: " if path.isdigit() else ""


class OpenChoiceField(forms.ChoiceField):
    """A select whose choices are only offers: whether a value is right is decided elsewhere, with a better message."""

    def valid_value(self, value: Any) -> bool:
        return True

    def keep(self, value: Any) -> None:
        """Offer `value` too, so that showing and sending the form never changes it."""
        offers: list[Offer] = list(self.choices)  # type: ignore[arg-type]
        if value and value not in dict(flat_offers(offers)):
            self.choices = [*offers, (value, f"{value} (no longer offered)")]


class OpenChoicesField(forms.MultipleChoiceField):
    """Several of what is offered. Whether a value is right is decided elsewhere, with a better message."""

    widget = forms.CheckboxSelectMultiple

    def valid_value(self, value: Any) -> bool:
        return True

    def keep(self, values: Any) -> None:
        """Offer `values` too, so that showing and sending the form never changes them."""
        offers: list[Offer] = list(self.choices)  # type: ignore[arg-type]
        gone = [value for value in values or () if value not in dict(flat_offers(offers))]
        self.choices = [*offers, *((value, f"{value} (no longer offered)") for value in gone)]


class Suggesting:
    """Added to a text input: what one may type, offered as a list."""

    offers: Offers

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        list_id = f"{(attrs or {}).get('id') or name}-offers"
        control = super().render(name, value, {**(attrs or {}), "list": list_id}, renderer)  # type: ignore[misc]
        options = format_html_join("", '<option value="{}">{}</option>', flat_offers(self.offers()))
        return format_html('{}<datalist id="{}">{}</datalist>', control, list_id, options)


def suggesting(widget: forms.Widget, offers: Offers) -> forms.Widget:
    """The same widget with a list of suggestions."""
    base = type(widget)
    widget.__class__ = type(f"Suggesting{base.__name__}", (Suggesting, base), {"offers": staticmethod(offers)})
    return widget


def flat_offers(offers: Iterable[Offer]) -> list[tuple[str, str]]:
    """Grouped choices as one list; a group's name goes before its labels."""
    flat: list[tuple[str, str]] = []
    for value, label in offers:
        if isinstance(label, list | tuple):
            flat.extend((inner, f"{value}: {text}") for inner, text in label)
        else:
            flat.append((value, label))
    return flat


class TableWidget(forms.Widget):
    """Rows of inputs named `<name>-<row>-<column>`, with blank rows at the end for more."""

    def __init__(self, columns: Mapping[str, forms.Field], attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.columns = columns

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        fixed = {"disabled": True} if attrs and attrs.get("disabled") else {}
        rows = [*(value or []), *({} for _ in range(0 if fixed else BLANK_ROWS))]
        if not rows:
            return format_html("<p>{}</p>", "none")
        heads = format_html_join("", "<th>{}</th>", ((field.label,) for field in self.columns.values()))
        body = format_html_join(
            "", "<tr>{}</tr>", ((self._row(f"{name}-{index}", row, fixed),) for index, row in enumerate(rows))
        )
        return format_html('<table class="schema-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>', heads, body)

    def _row(self, prefix: str, row: Mapping[str, Any], attrs: Mapping[str, Any]) -> SafeString:
        cells = ((self._cell(f"{prefix}-{key}", key, row, attrs),) for key in self.columns)
        return format_html_join("", "<td>{}</td>", cells)

    def _cell(self, name: str, key: str, row: Mapping[str, Any], attrs: Mapping[str, Any]) -> SafeString:
        field = self.columns[key]
        value = field.prepare_value(row.get(key, field.initial if is_settled(field) else ""))
        cell: SafeString = field.widget.render(name, value, {"id": f"id_{name}", "aria-label": field.label, **attrs})
        return cell

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[dict[str, Any]]:
        parts = [key.removeprefix(f"{name}-").split("-", 1) for key in data if key.startswith(f"{name}-")]
        rows = sorted({int(part[0]) for part in parts if len(part) == 2 and part[0].isascii() and part[0].isdigit()})
        found = [
            {key: field.widget.value_from_datadict(data, files, f"{name}-{row}-{key}") for key, field in self.columns.items()}
            for row in rows
        ]
        while found and is_blank(found[-1], self.columns):
            found.pop()  # else a form that is shown again would grow by its blank rows
        return found

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return not any(key.startswith(f"{name}-") for key in data)

    def id_for_label(self, id_: str) -> str:
        return ""


class TableField(forms.Field):
    """A list of rows of one schema. A row whose text and number cells are all empty is left out."""

    def __init__(self, *, columns: Mapping[str, forms.Field], **kwargs: Any) -> None:
        super().__init__(widget=TableWidget(columns), **kwargs)
        self.columns = columns
        self._kept: list[int] = []

    def clean(self, value: Any) -> list[dict[str, Any]]:
        self._kept = [index for index, row in enumerate(value or []) if not is_blank(row, self.columns)]
        cleaned = [self._clean_row(value[index], number=index + 1) for index in self._kept]
        problems = [problem for _, found in cleaned for problem in found]
        if problems:
            raise forms.ValidationError(problems)
        return [row for row, _ in cleaned]

    def place(self, path: str) -> str:
        """Where an error at `<row>.<column>` of the cleaned list stands in the form."""
        index, _, key = path.partition(".")
        if not index.isdigit():
            return ""
        row = self._kept[int(index)] if int(index) < len(self._kept) else int(index)
        return f"Row {row + 1}, {self.columns[key].label}: " if key in self.columns else f"Row {row + 1}: "

    def _clean_row(self, row: Mapping[str, Any], *, number: int) -> tuple[dict[str, Any], list[str]]:
        cleaned: dict[str, Any] = {}
        problems: list[str] = []
        for key, field in self.columns.items():
            try:
                cleaned[key] = field.clean(row[key])
            except forms.ValidationError as error:
                problems += [f"Row {number}, {field.label}: {message}" for message in error.messages]
        return cleaned, problems


def is_blank(row: Mapping[str, Any], columns: Mapping[str, forms.Field]) -> bool:
    return not any(str(row[key] or "").strip() for key, field in columns.items() if not is_settled(field))


def is_settled(field: forms.Field) -> bool:
    """Whether a field has a value before anybody fills it in: a tick box or a select."""
    return isinstance(field, forms.BooleanField | forms.ChoiceField)
