"""Whether a value comes from the caller's own words: pure functions on text, the same for every language model."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise

from voiceplatform.lib.digits import in_groups

_UNITS = {
    "zero": 0, "oh": 0, "o": 0, "nought": 0, "naught": 0, "one": 1, "two": 2, "three": 3, "four": 4,
    "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
_TEENS = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_SCALES = {"hundred": "00", "thousand": "000"}
_REPEATS = {"double": 2, "triple": 3, "treble": 3}
_LEAST_PIECE = 3

_EMPTY_WORDS = frozenset({
    "a", "about", "again", "all", "am", "an", "and", "any", "are", "as", "at", "back", "be", "been", "but", "by", "bye",
    "call", "called", "caller", "calling", "can", "could", "dear", "did", "do", "for", "from", "get", "give", "got", "had",
    "has", "have", "he", "hello", "her", "hey", "hi", "him", "his", "how", "i", "if", "im", "in", "is", "it", "its", "just",
    "know", "leave", "like", "me", "message", "mr", "mrs", "ms", "my", "name", "no", "not", "number", "of", "ok", "okay",
    "on", "or", "our", "out", "pass", "phone", "please", "regarding", "say", "she", "so", "some", "somebody", "someone",
    "speak", "speaking", "tell", "thank", "thanks", "that", "the", "their", "them", "then", "there", "they", "this", "to",
    "uh", "um", "up", "us", "want", "wants", "was", "we", "well", "were", "what", "when", "where", "which", "who", "will",
    "with", "would", "yeah", "yes", "you", "your",
})  # fmt: skip
_ASKING = frozenset({
    "amount", "cent", "cents", "charge", "charges", "cost", "costs", "dollar", "dollars", "euro", "euros", "fee", "hour", "hours",
    "long", "many", "minute", "minutes", "much", "percent", "pm", "pound", "pounds", "price", "prices", "time", "total",
})  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_READ_OUT = re.compile(r"(?<!\d)\d(?:,? \d(?!\d))+")


def plain(text: str) -> str:
    """Without case and diacritics, so that 'José' and 'jose' are the same word."""
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in spread if not unicodedata.combining(letter)).replace("’", "'")


def words(text: str) -> list[str]:
    return [word.replace("'", "") for word in _WORD.findall(plain(text))]


def digits_of(text: str) -> str:
    """Every digit said, in order: 'five double five, oh one forty-three' gives '55550143'... minus what is no number."""
    return "".join(digit for run in digit_runs(text) for digit in run)


def digit_runs(text: str) -> list[str]:
    """Stretches of digits, however they were said; other words end a stretch."""
    runs, current = [], ""
    for piece in _spoken_digits(words(text)):
        if piece:
            current += piece
        elif current:
            runs.append(current)
            current = ""
    return [*runs, current] if current else runs


def _spoken_digits(said: Sequence[str]) -> Iterable[str]:
    """For each step through the words, the digits it stands for; '' where it is no number."""
    at = 0
    while at < len(said):
        digits, used = _digits_at(said, at)
        yield digits
        at += used


def _digits_at(said: Sequence[str], at: int) -> tuple[str, int]:
    word = said[at]
    following = said[at + 1] if at + 1 < len(said) else ""
    if word.isdigit():
        return word + _SCALES.get(following, ""), 2 if following in _SCALES else 1
    if word in _REPEATS and (one := _single(following)):
        return one * _REPEATS[word], 2
    if word in _TENS:
        unit = _UNITS.get(following, 0)
        return str(_TENS[word] + unit), 2 if unit else 1
    if word in _TEENS:
        return str(_TEENS[word]), 1
    if word in _UNITS:
        return str(_UNITS[word]) + _SCALES.get(following, ""), 2 if following in _SCALES else 1
    return "", 1


def _single(word: str) -> str:
    if word in _UNITS:
        return str(_UNITS[word])
    return word if len(word) == 1 and word.isdigit() else ""


def phone_is_grounded(value: str, *, said: Sequence[str], least_digits: int = 5) -> bool:
    """Whether every digit of a phone number was said by the caller, in that order.

    `said` are the caller's utterances, oldest first. A number may be spread over several of them, and a later
    correction may replace its beginning or end ("no, it ends in 0199").
    """
    wanted = digits_of(value)
    if len(wanted) < least_digits:
        return False
    heard = [digit_runs(utterance) for utterance in said]
    return wanted in "".join(run for runs in heard for run in runs) or _put_together(wanted, heard=heard)


def _put_together(wanted: str, *, heard: Sequence[Sequence[str]]) -> bool:
    """Whether the number begins in one utterance and ends in a later one."""
    cuts = range(_LEAST_PIECE, len(wanted) - _LEAST_PIECE + 1)
    for cut in cuts:
        starts = [at for at, runs in enumerate(heard) if any(wanted[:cut] in run for run in runs)]
        ends = [at for at, runs in enumerate(heard) if any(wanted[cut:] in run for run in runs)]
        if starts and ends and starts[0] < ends[-1]:
            return True
    return False


def name_is_grounded(value: str, *, said: Sequence[str]) -> bool:
    """Whether each part of a name was said (or spelled), and it is a name rather than a greeting or a sentence."""
    parts = [word for word in words(value) if not word.isdigit()]
    if not parts or len(parts) > 5 or all(part in _EMPTY_WORDS for part in parts):
        return False
    heard = [words(utterance) for utterance in said]
    known = {word for utterance in heard for word in utterance} | {
        spelled for utterance in heard for spelled in _spelled(utterance)
    }
    # "Maria Lopez" may have been heard as "Marialopez" or "Maria Lo Pez".
    joined = {first + second for utterance in heard for first, second in pairwise(utterance)}
    return all(part in known | joined for part in parts) or "".join(parts) in known | joined


def _spelled(said: Sequence[str]) -> Iterable[str]:
    """Words spelled out: 'm a r i a'."""
    letters = ""
    for word in [*said, "--"]:
        if len(word) == 1 and word.isalpha():
            letters += word
        else:
            if len(letters) > 1:
                yield letters
            letters = ""


def reason_is_grounded(value: str, *, said: Sequence[str]) -> bool:
    """Whether most of what a reason says was said by the caller; its wording may differ."""
    content = content_words(value)
    if not content:
        return False
    heard = [word for utterance in said for word in words(utterance)]
    known = sum(any(_akin(word, other) for other in heard) for word in content)
    return known * 2 >= len(content)


def content_words(text: str) -> list[str]:
    return [word for word in words(text) if word not in _EMPTY_WORDS and len(word) > 1]


def _akin(one: str, other: str) -> bool:
    """The same word but for its ending."""
    if one == other:
        return True
    shared = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return shared >= 4 and shared >= max(len(one), len(other)) - 4


def unknown_numbers(text: str, *, known: Iterable[str]) -> list[str]:
    """Numbers that `text` states in digits and none of the `known` texts contains."""
    sources = list(known)
    held = {_number(found) for source in sources for found in _NUMBER.findall(source)}
    spoken = " ".join(digits for source in sources for digits in digit_runs(source)).split()
    stated = _NUMBER.findall(_READ_OUT.sub(lambda found: digits_only(found.group()), text))
    return [number for number in stated if _number(number) not in held and not _was_said(digits_only(number), spoken)]


def misplaced_numbers(text: str, *, facts: Sequence[str], asked: str) -> list[str]:
    """Numbers that the facts give for something else, stated of a thing that no fact mentions.

    "check-up: 60 dollars" does not answer "How much is a root canal?".
    """
    strange = [word for word in content_words(asked) if word not in _ASKING and not any(_mentions(fact, word) for fact in facts)]
    if not strange:
        return []
    topic = [word for word in [*content_words(text), *content_words(asked)] if word not in _ASKING and not word.isdigit()]
    supported = {
        _number(found) for fact in facts if any(_mentions(fact, word) for word in topic) for found in _NUMBER.findall(fact)
    }
    return [found for found in _NUMBER.findall(text) if _number(found) not in supported]


def _mentions(fact: str, word: str) -> bool:
    return any(_akin(word, other) for other in words(fact))


def digits_only(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())


def _was_said(digits: str, spoken: Sequence[str]) -> bool:
    """Said as it is, or part of a longer number, as when a phone number is read back in groups."""
    return digits in spoken or (len(digits) >= _LEAST_PIECE and digits in "".join(spoken))


def _number(text: str) -> str:
    """'10:00', '10.00' and '10' are the same number."""
    whole, _, rest = text.partition(":") if ":" in text else text.partition(".")
    whole = whole.replace(",", "").lstrip("0") or "0"
    return whole if not rest.strip("0") else f"{whole}.{rest}"


def read_digit_by_digit(value: str) -> str:
    """A phone number as it is read back: '512 555 0143' gives '5 1 2, 5 5 5, 0 1 4 3'."""
    groups = re.findall(r"\d+", value)
    if len(groups) == 1 and len(groups[0]) > 4:
        groups = in_groups(groups[0])
    return ", ".join(" ".join(group) for group in groups)
