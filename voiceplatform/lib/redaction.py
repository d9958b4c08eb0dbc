"""Hiding what must not be kept: phone numbers in logs, card numbers in everything that is stored."""

import re
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Final

_DATE = r"\d{4}-\d\d-\d\d"
_SEPARATED = r"[ ().-]{0,2}"
# Either international, or ten and more digits in the groups people write. Dates and parts of ids are left alone.
_PHONE: Final = re.compile(
    rf"(?<![\w.:-])(?!{_DATE})(?:\+\d(?:{_SEPARATED}\d){{6,14}}|\(?\d(?:{_SEPARATED}\d){{9,14}})(?![^\W_]|[:-])"
)
_KEPT_DIGITS: Final = 2
_MOST_HIDDEN: Final = 100
_HIDDEN: Final[list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]] = []

DIGIT_NAMES: Final = {
    word: str(value)
    for value, words in enumerate(
        ("zero oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    )
    for word in words.split()
}
_NUMBER = rf"(?:\d+|\b(?:{'|'.join(DIGIT_NAMES)})\b)"
_NUMBERS: Final = re.compile(rf"{_NUMBER}(?:[\s.,–-]{{0,3}}{_NUMBER})+|\d{{13,}}", re.IGNORECASE)
_ONE_NUMBER: Final = re.compile(_NUMBER, re.IGNORECASE)
_SHORTEST_CARD: Final = 13
# The lengths that are issued, commonest first, and what the first digits may be.
_CARDS: Final = (
    (16, re.compile(r"[2-6]|81")),
    (15, re.compile(r"3[47]|2131|1800")),
    (14, re.compile(r"3[0689]")),
    (13, re.compile(r"4")),
    (19, re.compile(r"[456]")),
    (18, re.compile(r"[56]")),
    (17, re.compile(r"6")),
)


def mask_phone_numbers(text: str) -> str:
    """Replace all but the last two digits of every phone number by `*`."""
    return _PHONE.sub(lambda found: _mask(found[0], keep=_KEPT_DIGITS), text)


def mask_log_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: no line carries a whole phone number, or what was hidden."""
    for key, value in event.items():
        if isinstance(value, str) and not key.endswith("_id"):
            for pattern, mask in _HIDDEN:
                value = pattern.sub(mask, value)  # noqa: PLW2901
            event[key] = mask_phone_numbers(value)
    return event


def hide_in_logs(pattern: re.Pattern[str], mask: Callable[[re.Match[str]], str]) -> None:
    """Let `mask` stand for what the pattern finds in every line that this process logs from now on."""
    _HIDDEN.append((pattern, mask))
    del _HIDDEN[:-_MOST_HIDDEN]


def mask_card_numbers(text: str) -> str:
    """Replace all but the last four digits of every payment card number by `*`, also of one spoken digit by digit."""
    return _NUMBERS.sub(lambda found: _mask_cards(found[0]), text)


def _mask_cards(run: str) -> str:
    numbers = [(found.start(), found.end(), DIGIT_NAMES.get(found[0].lower(), found[0])) for found in _ONE_NUMBER.finditer(run)]
    masked, done = [], 0
    for first, last in _card_spans([digits for *_, digits in numbers]):
        start, end = numbers[first][0], numbers[last][1]
        masked += [run[done:start], _mask_words(run[start:end])]
        done = end
    return "".join([*masked, run[done:]])


def _card_spans(numbers: list[str]) -> Iterator[tuple[int, int]]:
    """First and last index of each stretch of numbers that together are one card number."""
    first = 0
    while first < len(numbers):
        last = _card_from(numbers, first)
        if last is None:
            first += 1
        else:
            yield first, last
            first = last + 1


def _card_from(numbers: list[str], first: int) -> int | None:
    ends: dict[int, int] = {}
    digits = ""
    for index in range(first, len(numbers)):
        digits += numbers[index]
        ends[len(digits)] = index
        if len(digits) > _CARDS[4][0]:
            break
    for length, beginning in _CARDS:
        if length in ends and beginning.match(digits) and _passes_luhn(digits[:length]):
            return ends[length]
    return None


def _passes_luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + position % 2) for position, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _mask_words(card: str) -> str:
    """Spoken digits become figures first, so that the last four can be kept."""
    return _mask(_ONE_NUMBER.sub(lambda found: DIGIT_NAMES.get(found[0].lower(), found[0]), card), keep=4)


def _mask(text: str, *, keep: int) -> str:
    hidden = sum(character.isdigit() for character in text) - keep
    masked = []
    for character in text:
        if character.isdigit() and hidden > 0:
            hidden -= 1
            masked.append("*")
        else:
            masked.append(character)
    return "".join(masked)
