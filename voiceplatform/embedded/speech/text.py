"""What text becomes before it is spoken: numbers as a person reads them, in pieces short enough to start at once."""

import re
from collections.abc import Iterator

from voiceplatform.lib.digits import in_groups

_PHONE = re.compile(r"(?<![\w.,$€£])\+?\(?\d[\d\s().\-/]{5,}\d(?![\w%])")
_DATE = re.compile(r"(?<![\d./-])(?:\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2\d{4})(?![\d./-])")
_NO_PHONE = re.compile(r"\d+\.\d+|(?:1[89]|20)\d\d ?[-/] ?(?:1[89]|20)\d\d")  # a decimal fraction, a span of years
_ABBREVIATION = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|a\.m|p\.m|e\.g)\.$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+")
_CLAUSE_END = re.compile(r"(?<=[,;:])\s+")
_SPACES = re.compile(r"\s+")
_LONG_FIRST = 70
_LONGEST = 240
_LEAST_DIGITS = 7


def pieces(text: str) -> Iterator[str]:
    """Sentences; a long first one by its clauses, so that sound comes early."""
    first = True
    for sentence in _sentences(_SPACES.sub(" ", read_digits(text)).strip()):
        if not any(letter.isalnum() for letter in sentence):
            continue
        limit = _LONG_FIRST if first else _LONGEST
        yield from _clauses(sentence, limit=limit) if len(sentence) > limit else [sentence]
        first = False


def _sentences(text: str) -> Iterator[str]:
    held = ""
    for part in _SENTENCE_END.split(text):
        held = f"{held} {part}".strip()
        if not _ABBREVIATION.search(held):
            yield held
            held = ""
    if held:
        yield held


def _clauses(sentence: str, *, limit: int) -> Iterator[str]:
    """Clauses, joined again while they are too short to sound natural alone."""
    held = ""
    for clause in _CLAUSE_END.split(sentence):
        held = f"{held} {clause}".strip()
        if len(held) >= limit // 3:
            yield held
            held = ""
    if held:
        yield held


def read_digits(text: str) -> str:
    """Phone numbers digit by digit: '512 555 0143' becomes '5 1 2, 5 5 5, 0 1 4 3'."""
    return _PHONE.sub(_spell, text)


def _spell(found: re.Match[str]) -> str:
    if date := _DATE.search(found.group()):
        before, after = found.group()[: date.start()], found.group()[date.end() :]
        return read_digits(before) + date.group() + read_digits(after)
    groups = re.findall(r"\d+", found.group())
    if _NO_PHONE.fullmatch(found.group()):
        return found.group()
    if sum(len(group) for group in groups) < _LEAST_DIGITS or all(len(group) == 1 for group in groups):
        return found.group()
    if len(groups) == 1:
        groups = in_groups(groups[0])
    plus = "plus " if found.group().startswith("+") else ""
    return plus + ", ".join(" ".join(group) for group in groups)
