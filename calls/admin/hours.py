"""The editor of opening hours: rows of weekdays with from and to."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from calls.models.window import DAY_NAMES
from calls.services.hours import MIDNIGHT, MOST_HOURS

BLANK_ROWS = 2
_ZERO = "00:00"
Span = dict[str, Any]


class HoursWidget(forms.Widget):
    """Some rows are left blank for more; a row that is emptied is taken away."""

    def render(self, name: str, value: Any, attrs: Mapping[str, Any] | None = None, renderer: Any = None) -> SafeString:
        spans: list[Span] = [*(value or []), *({} for _ in range(BLANK_ROWS))][:MOST_HOURS]
        rows = [self._row(f"{name}-{number}", span) for number, span in enumerate(spans)]
        context = {"name": name, "id": (attrs or {}).get("id", f"id_{name}"), "rows": rows}
        return render_to_string("admin/calls/phonenumber/hours.html", context)

    def _row(self, prefix: str, span: Span) -> dict[str, Any]:
        chosen = {str(day) for day in span.get("weekdays", [])}
        days = [(number, day, str(number) in chosen) for number, day in enumerate(DAY_NAMES, start=1)]
        # A field for times knows no 24:00.
        ends_at = _ZERO if span.get("ends_at") == MIDNIGHT else span.get("ends_at", "")
        return {"prefix": prefix, "days": days, "starts_at": span.get("starts_at", ""), "ends_at": ends_at}

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[Span]:
        sent = data.get(f"{name}-rows", "")
        count = min(int(sent), MOST_HOURS) if sent.isascii() and sent.isdecimal() and len(sent) < 4 else 0
        spans = [self._sent(data, f"{name}-{number}") for number in range(count)]
        return [span for span in spans if any(span.values())]

    def _sent(self, data: Any, prefix: str) -> Span:
        days = data.getlist(f"{prefix}-days") if hasattr(data, "getlist") else data.get(f"{prefix}-days", [])
        starts_at, ends_at = (data.get(f"{prefix}-{part}", "").strip() for part in ("starts_at", "ends_at"))
        return {"weekdays": list(days), "starts_at": starts_at, "ends_at": MIDNIGHT if ends_at == _ZERO else ends_at}

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return f"{name}-rows" not in data

    def id_for_label(self, id_: str | None) -> str:
        return ""


class HoursField(forms.Field):
    """Spans of the week as PhoneNumber keeps them."""

    widget = HoursWidget

    def clean(self, value: Sequence[Span]) -> list[Span]:
        for place, span in enumerate(value, start=1):
            if not span["weekdays"]:
                raise forms.ValidationError(f"Row {place}: choose its days.")
            if not (span["starts_at"] and span["ends_at"]):
                raise forms.ValidationError(f"Row {place}: say from when until when.")
        return [{**span, "weekdays": [int(day) for day in span["weekdays"] if day.isdecimal()]} for span in value]

    def has_changed(self, initial: Any, data: Any) -> bool:
        def plain(spans: Any) -> list[Any]:
            return [([str(day) for day in span["weekdays"]], span["starts_at"], span["ends_at"]) for span in spans or []]

        return plain(initial) != plain(data)


def hours_text(spans: Sequence[Span]) -> str:
    """For a list."""
    if not spans:
        return "always"
    return "; ".join(
        f"{' '.join(DAY_NAMES[day - 1] for day in span['weekdays'])} {span['starts_at']}–{span['ends_at']}" for span in spans
    )
