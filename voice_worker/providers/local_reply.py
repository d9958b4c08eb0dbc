"""Reading the local model's JSON while it is still being written."""

import json
import re
from typing import Any

_ACTION = re.compile(r'\{"action": ?"([^"]*)"')
_SAY = re.compile(r'"say": ?"')
_STRING = re.compile(r'(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*')
_BOUNDARY = re.compile(r"[.!?…][\"')\]]*\s+")
_ABBREVIATION = re.compile(r"\b(?:dr|mr|mrs|ms|st|a\.m|p\.m|e\.g)$", re.IGNORECASE)


class Reply:
    """Fed with pieces of text; gives the sentences of `say` as each is complete."""

    def __init__(self) -> None:
        self.raw = ""
        self._given = 0

    @property
    def said_all(self) -> bool:
        """The closing quote of `say` has come."""
        return self._say()[1]

    @property
    def action(self) -> str:
        found = _ACTION.match(self.raw)
        return found.group(1) if found else ""

    def feed(self, piece: str) -> list[str]:
        """The sentences that this piece completes."""
        self.raw += piece
        text, closed = self._say()
        sentences = []
        for boundary in _BOUNDARY.finditer(text, self._given):
            if not _ABBREVIATION.search(text[: boundary.start()]):
                sentences.append(text[self._given : boundary.end()])
                self._given = boundary.end()
        if closed and text[self._given :].strip():
            sentences.append(text[self._given :])
            self._given = len(text)
        return sentences

    def rest(self) -> str:
        """What was begun and not completed."""
        return self._say()[0][self._given :]

    def values(self) -> dict[str, Any]:
        """All of the object but its action; empty when it was cut off."""
        try:
            found = json.loads(self.raw)
        except json.JSONDecodeError:
            return {}
        return {key: value for key, value in found.items() if key != "action"} if isinstance(found, dict) else {}

    def _say(self) -> tuple[str, bool]:
        """`say` as far as it is known, and whether it is closed."""
        start = _SAY.search(self.raw)
        if start is None:
            return "", False
        found = _STRING.match(self.raw, start.end())
        body = found.group() if found else ""
        closed = self.raw[start.end() + len(body) :].startswith('"')
        return _unescaped(body), closed


def _unescaped(body: str) -> str:
    """A server that does not know the grammar may let an escape through that JSON does not have."""
    try:
        return str(json.loads(f'"{body}"', strict=False))
    except json.JSONDecodeError:
        return body.replace("\\", "")
