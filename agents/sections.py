"""What sections of an agent version's settings are made of."""

import re
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def setting(default: Any, title: str, help_text: str, *, unit: str = "", widget: str = "", **limits: Any) -> Any:
    """A field with what its form shows."""
    extra: dict[str, Any] = {"unit": unit, "widget": widget}
    return Field(default, title=title, description=help_text, json_schema_extra=extra, **limits)


def _plain_text(text: str, *, multiline: bool) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not multiline:
        text = text.strip().replace("\n", " ")
    if found := _NOT_TEXT.search(text):
        raise ValueError(f"the character U+{ord(found.group()):04X} cannot be used here")
    return text


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _storable_text(cls, value: object, info: ValidationInfo) -> object:
        """Normalise newlines and refuse characters a database or a voice cannot take."""
        extra = cls.model_fields[str(info.field_name)].json_schema_extra
        widget = extra.get("widget") if isinstance(extra, dict) else ""
        if isinstance(value, str):
            return _plain_text(value, multiline=widget == "textarea")
        if widget == "lines" and isinstance(value, list | tuple):
            return [_plain_text(line, multiline=False) if isinstance(line, str) else line for line in value]
        return value
