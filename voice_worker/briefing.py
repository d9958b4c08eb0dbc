"""What somebody is told who is to take a call over, and what they answer."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from agents.tools import OTHER_REASON
from voice_worker.audio import FRAME, RATE, Int16Array
from voice_worker.consent import judge
from voice_worker.handing import Outcome

ANSWERS_WITHIN_S: Final = 15.0
_HELLO: Final = "Hello. I have a caller on the line for you"
_CHOICE: Final = "To take the call, press 1 or say yes. To decline, press 2 or say no."
_TAKES, _DECLINES = "1", "2"
_ENDS: Final = (".", "!", "?")

_NOTES_HZ: Final = (520, 660)
_NOTE_S, _REST_S = 1.2, 2.0
_SOFT: Final = 1800


def briefing(*, reason: str, summary: str, phone: str) -> tuple[str, str]:
    """What somebody is told, and the question that follows; who does not answer is asked again."""
    ending = f", from the number that ends in {' '.join(phone[-4:])}" if phone[-4:].isdigit() else ""
    told = [_sentence(_HELLO + ending), _sentence(reason if reason != OTHER_REASON else ""), _sentence(summary)]
    return " ".join(part for part in told if part), _CHOICE


def _sentence(text: str) -> str:
    text = " ".join(text.replace("_", " ").split())
    return text if not text or text.endswith(_ENDS) else f"{text}."


class Confirmation:
    """One person's answer. Keys count at any time; words only from the question on: a phone is taken with a yes."""

    def __init__(self) -> None:
        self.answer: Outcome | None = None
        self._was_asked = False

    def asked(self) -> None:
        self._was_asked = True

    def key(self, key: str) -> None:
        if key in (_TAKES, _DECLINES):
            self._decide("joined" if key == _TAKES else "declined")

    def words(self, text: str) -> None:
        said = judge(text)
        if self._was_asked and said != "unclear":
            self._decide("joined" if said == "yes" else "declined")

    def _decide(self, answer: Outcome) -> None:
        self.answer = self.answer or answer


def hold_sound() -> Int16Array:
    """One round of what a caller hears who waits: two soft notes and a rest, in whole frames."""
    at = np.arange(round(_NOTE_S * RATE)) / RATE
    swell = np.sin(np.pi * np.arange(len(at)) / len(at))
    notes = [_SOFT * swell * np.sin(2 * np.pi * hertz * at) for hertz in _NOTES_HZ]
    whole = np.concatenate([*notes, np.zeros(round(_REST_S * RATE))]).astype(np.int16)
    return whole[: len(whole) // FRAME * FRAME]


def frames(pcm: bytes) -> Iterator[bytes]:
    """In pieces of a frame, the last one filled up with silence."""
    size = 2 * FRAME
    for begin in range(0, len(pcm), size):
        yield pcm[begin : begin + size].ljust(size, b"\0")
