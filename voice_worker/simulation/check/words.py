"""Comparing what was said with what was understood: normalised words, word error rate, numbers in sentences."""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence

_UNITS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen".split()
    )
}
_TENS = {word: 10 * ten for ten, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_FILLERS = {"uh", "um", "er", "oclock", "hmm"}
_SAME = {
    "okay": "ok",
    "checkup": "check up",
    "dr": "doctor",
    "st": "street",
    "dollar": "dollars",
    "hours": "hour",
    "cannot": "can not",
}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SMALL_WORDS = set("a an the is are to of at on in for and or it we you i from open our am pm dollars hour hours".split())


def normalise(text: str) -> list[str]:
    """Lower-case words without punctuation; numbers, prices, times and digit sequences in one spelling each."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    text = re.sub(r"\b([ap])\.?\s?m\b\.?", r"\1m", text)
    text = re.sub(r"\$\s?(\d[\d,]*(?:\.\d+)?)", r"\1 dollars", text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"\b(\d{1,2}):00\b", r"\1", text)
    text = re.sub(r"(\d)([a-z])", r"\1 \2", text)
    text = re.sub(r"'s\b|'", lambda match: "" if match.group() == "'" else " s", text)
    words = [_SAME.get(word, word) for word in re.findall(r"\w+", text.replace("_", " "))]
    return _join_digits(_number_words([part for word in words for part in word.split() if part not in _FILLERS]))


def _number_words(words: Sequence[str]) -> list[str]:
    out: list[str] = []
    index = 0
    while index < len(words):
        used, value = _number_at(words, index)
        if used:
            out.append(value)
            index += used
        else:
            out.append(words[index])
            index += 1
    return out


def _number_at(words: Sequence[str], index: int) -> tuple[int, str]:
    """How many words from `index` make one number, and its digits."""
    word, following = words[index], words[index + 1] if index + 1 < len(words) else ""
    if word in ("double", "triple") and (digit := _digit(following)):
        return 2, digit * (2 if word == "double" else 3)
    if word in ("oh", "o") and (_digit(following) or (index and (words[index - 1] in _UNITS or words[index - 1].isdigit()))):
        return 1, "0"
    if word in _TENS:
        unit = _UNITS.get(following, 0)
        return (2, str(_TENS[word] + unit)) if 0 < unit < 10 else (1, str(_TENS[word]))
    if word in _UNITS:
        return _hundreds(words, index)
    return 0, ""


def _hundreds(words: Sequence[str], index: int) -> tuple[int, str]:
    value = _UNITS[words[index]]
    if value == 0 or index + 1 >= len(words) or words[index + 1] != "hundred":
        return 1, str(value)
    rest = index + 2
    if rest < len(words) and words[rest] == "and":
        rest += 1
    if rest < len(words) and (words[rest] in _TENS or words[rest] in _UNITS):
        used, tail = _number_at(words, rest)
        return rest + used - index, str(value * 100 + int(tail))
    return 2, str(value * 100)


def _digit(word: str) -> str:
    if word in ("oh", "o"):
        return "0"
    if word in _UNITS and _UNITS[word] < 10:
        return str(_UNITS[word])
    return word if len(word) == 1 and word.isdigit() else ""


def _join_digits(words: Iterable[str]) -> list[str]:
    """Neighbouring numbers are one spoken sequence, such as a phone number."""
    out: list[str] = []
    for word in words:
        if word.isdigit() and out and out[-1].isdigit():
            out[-1] += word
        else:
            out.append(word)
    return out


def word_error_rate(*, said: str, understood: str) -> float:
    """Substitutions, deletions and insertions per word said; 0 when both are empty, 1 when only one is."""
    reference, hypothesis = normalise(said), normalise(understood)
    if not reference:
        return 1.0 if hypothesis else 0.0
    previous = list(range(len(hypothesis) + 1))
    for row, word in enumerate(reference, 1):
        current = [row]
        for column, other in enumerate(hypothesis, 1):
            current.append(min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (word != other)))
        previous = current
    return previous[-1] / len(reference)


def digits_of(text: str) -> str:
    """All digits in a text, spoken or written."""
    return "".join(word for word in normalise(text) if word.isdigit())


def amounts(text: str) -> set[tuple[str, str]]:
    """Prices and times of day in a text, as ("250", "dollars") or ("9", "am")."""
    words = normalise(text)
    return {(number, unit) for number, unit in itertools.pairwise(words) if number.isdigit() and unit in ("dollars", "am", "pm")}


def topics(text: str) -> set[str]:
    """The words that say what a text is about; a range of days stands for each of its days."""
    words = [word for word in normalise(text) if not word.isdigit()]
    found = {word.rstrip("s") for word in words if word not in _SMALL_WORDS}
    for start, link, end in zip(words, words[1:], words[2:], strict=False):
        if start in _DAYS and end in _DAYS and link in ("to", "through", "until", "till"):
            first, last = _DAYS.index(start), _DAYS.index(end)
            found |= {*_DAYS[first : last + 1], "weekday", "week"}
    return found


def sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]
