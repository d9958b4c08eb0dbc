"""Keys that nobody shall see: dots stand for them in everything that a call writes down, also where they are repeated."""

import re
from collections.abc import Mapping
from typing import Any, Final

from voiceplatform.lib.redaction import DIGIT_NAMES, hide_in_logs

Entry = Mapping[str, Any]
DOT: Final = "•"
FEWEST: Final = 3
"""One or two digits are in any sentence: those are hidden where they were pressed alone."""
_LONGEST: Final = 32
_PART: Final = 8
_BETWEEN: Final = r"[\s.,;:()*#w–—-]{0,4}"
_ONE: Final = re.compile(rf"\d|{'|'.join(DIGIT_NAMES)}", re.IGNORECASE)
# What of an entry holds words or values; the rest are numbers, times and keys of our own.
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "turn": ("text",),
    "tool_call": ("arguments", "output"),
    "message": ("caller_name", "phone", "reason"),
    "event": ("data",),
    "status": ("detail",),
    "recording": ("detail",),
}


class Hiding:
    """What is to be hidden in one call."""

    def __init__(self) -> None:
        self._patterns: list[re.Pattern[str]] = []

    def add(self, keys: str) -> None:
        """Hide the digits among these keys from now on, however they are grouped, and as words. Also in this process's logs."""
        digits = "".join(key for key in keys if key in DIGIT_NAMES.values())
        step = _PART if len(digits) > _LONGEST else max(1, len(digits))
        for start in range(0, len(digits), step):
            part = digits[start : start + step]
            pattern = _pattern(part)
            if len(part) >= FEWEST and pattern not in self._patterns:
                self._patterns.append(pattern)
                hide_in_logs(pattern, _dotted)
        # What is part of something longer would leave the rest of that.
        self._patterns.sort(key=lambda pattern: len(pattern.pattern), reverse=True)

    def masked(self, entry: Entry) -> Entry:
        """The entry as it may be written down."""
        names = _FIELDS.get(str(entry.get("op")), ()) if self._patterns else ()
        return {**entry, **{name: self._mask(entry[name]) for name in names if name in entry}} if names else entry

    def _mask(self, value: Any) -> Any:
        if isinstance(value, str):
            for pattern in self._patterns:
                value = pattern.sub(_dotted, value)
            return value
        if isinstance(value, Mapping):
            return {self._mask(name): self._mask(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._mask(each) for each in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            masked = self._mask(str(value))
            return value if masked == str(value) else masked
        return value


def _pattern(digits: str) -> re.Pattern[str]:
    names = {digit: [name for name, value in DIGIT_NAMES.items() if value == digit] for digit in set(digits)}
    return re.compile(_BETWEEN.join(rf"(?:{'|'.join([digit, *names[digit]])})" for digit in digits), re.IGNORECASE)


def _dotted(found: re.Match[str]) -> str:
    return _ONE.sub(DOT, found[0])
