"""JSON bodies that the database can take: no endless nesting, no NUL, no half characters."""

from collections.abc import Mapping
from math import isfinite
from typing import IO, Any, Final

from django.core.exceptions import TooManyFieldsSent, TooManyFilesSent
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import DataAndFiles, JSONParser, MultiPartParser

MOST_LEVELS: Final = 20
_UNSTORABLE: Final = frozenset("\x00")


class StrictJSONParser(JSONParser):
    """Raises ParseError for what is no JSON object, and ValidationError naming the field that cannot be stored."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError(_too_deep()) from error
        if not isinstance(data, dict):
            raise ParseError("The body must be a JSON object.")
        _check(data)
        return data


class UploadParser(MultiPartParser):
    """A form with a file. Raises ParseError for what is no form."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> DataAndFiles:
        try:
            found: DataAndFiles = super().parse(stream, media_type, parser_context)
        except (TooManyFieldsSent, TooManyFilesSent) as error:
            raise ParseError("The form has too many fields.") from error
        for name, values in found.data.lists():
            for value in values:
                _check_text(name[:40], name + value)
        return found


def _check(body: dict[str, Any]) -> None:
    waiting: list[tuple[str, Any, int]] = [("", body, 1)]
    while waiting:
        path, value, level = waiting.pop()
        if isinstance(value, str):
            _check_text(path, value)
            continue
        if isinstance(value, float) and not isfinite(value):
            raise ParseError(f"{path}: this number is too large.")
        if not isinstance(value, dict | list):
            continue
        if level > MOST_LEVELS:
            raise ParseError(_too_deep())
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            _check_text(path or str(key)[:40], str(key))
            waiting.append((f"{path}.{key}" if path else str(key), inner, level + 1))


def _check_text(path: str, text: str) -> None:
    if _UNSTORABLE.intersection(text) or any("\ud800" <= character <= "\udfff" for character in text):
        name = path.encode("ascii", "backslashreplace").decode().replace("\x00", "\\u0000")
        raise ValidationError({name: ["This has a character that cannot be stored (U+0000 or half a surrogate pair)."]})


def _too_deep() -> str:
    return f"The body is nested more than {MOST_LEVELS} levels deep."
