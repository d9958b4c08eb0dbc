"""Who answered, told from what is heard and when: every opening is played against the clock, nothing waits."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from voice_worker.answering import LONGEST_S, Heard, judge
from voice_worker.tests.openings import GONE, HELD_OUT, HUMAN, IVR, KNOWN, SCREEN, VM

RECOGNISED_S = 0.6
"""From the end of words to their text."""
SILENCE_S = 3.0


def stretches(opening: str) -> Iterator[tuple[float, float, str]]:
    """When each stretch of speech begins and ends."""
    at = 0.6
    for part in re.split(r"(\|[\d.]+\|)", opening):
        if part.startswith("|"):
            at += float(part.strip("|"))
        elif part.strip():
            yield at, at + max(0.4, len(part) / 15), part.strip()
            at += max(0.4, len(part) / 15)


def heard_at(now: float, parts: Sequence[tuple[float, float, str]]) -> Heard:
    begun = [part for part in parts if part[0] < now]
    lengths = [min(end, now) - start for start, end, _ in begun]
    last = min(begun[-1][1], now) if begun else 0.0
    return Heard(
        text=" ".join(text for _, end, text in parts if end + RECOGNISED_S <= now),
        speech_s=sum(lengths),
        longest_s=max(lengths, default=0.0),
        quiet_s=now - last,
        elapsed_s=now,
    )


def play(opening: str) -> tuple[str, float]:
    """What it was taken for, and how long after its first words that was known."""
    parts = list(stretches(opening))
    for tenth in range(1, 400):
        if verdict := judge(heard_at(tenth / 10, parts), silence_s=SILENCE_S):
            return verdict, tenth / 10 - parts[0][1]
    raise AssertionError("it was never told")


def confusion(openings: Sequence[tuple[str, str]]) -> Counter[tuple[str, str]]:
    return Counter((is_, play(opening)[0]) for is_, opening in openings)


@pytest.mark.parametrize(("who", "opening"), KNOWN)
def test_an_opening_is_told(who: str, opening: str) -> None:
    assert play(opening)[0] == who


def test_openings_nobody_tuned_for_are_told_too() -> None:
    found = confusion(HELD_OUT)
    right = sum(count for (is_, taken), count in found.items() if is_ == taken)
    assert right >= 0.85 * len(HELD_OUT), found


@pytest.mark.parametrize("opening", [opening for who, opening in (*KNOWN, *HELD_OUT) if who == HUMAN])
def test_no_person_is_taken_for_a_machine(opening: str) -> None:
    verdict, _ = play(opening)
    assert verdict in (HUMAN, "uncertain")


@pytest.mark.parametrize("opening", ["Hello?", "Yes?", "Hi, this is Bob.", "Hello, Maria speaking.", "Front desk, Tony."])
def test_a_person_does_not_wait_for_the_agent(opening: str) -> None:
    assert play(opening)[1] <= 1.2


def test_silence_is_nobody_known() -> None:
    assert judge(Heard(quiet_s=2.9, elapsed_s=2.9), silence_s=3) is None
    assert judge(Heard(quiet_s=3.0, elapsed_s=3.0), silence_s=3) == "uncertain"


def test_a_sound_without_words_is_nobody_known() -> None:
    assert judge(Heard(speech_s=1, longest_s=1, quiet_s=2.9, elapsed_s=5), silence_s=3) is None
    assert judge(Heard(speech_s=1, longest_s=1, quiet_s=3.0, elapsed_s=5), silence_s=3) == "uncertain"


def test_a_hello_that_was_not_understood_does_not_wait_as_long_as_silence() -> None:
    assert judge(Heard(speech_s=0.4, longest_s=0.4, quiet_s=1.9, elapsed_s=3), silence_s=3) is None
    assert judge(Heard(speech_s=0.4, longest_s=0.4, quiet_s=2.0, elapsed_s=3), silence_s=3) == "uncertain"


def test_a_cough_after_the_hello_holds_nobody_back() -> None:
    coughed = Heard(text="Hello?", speech_s=0.9, longest_s=0.5, latest_s=0.4, elapsed_s=3, awaits_words=True)
    assert judge(replace(coughed, quiet_s=0.6), silence_s=3) is None
    assert judge(replace(coughed, quiet_s=0.7), silence_s=3) == HUMAN


def test_words_that_go_on_after_the_hello_are_waited_for_within_bounds() -> None:
    goes_on = Heard(text="This is Bob.", speech_s=2, longest_s=1.2, latest_s=1.2, elapsed_s=4, awaits_words=True)
    assert judge(replace(goes_on, quiet_s=2.4), silence_s=3) is None
    assert judge(replace(goes_on, quiet_s=2.5), silence_s=3) == HUMAN
    told = replace(goes_on, text="This is Bob. Please leave a message.", quiet_s=0.1, awaits_words=False)
    assert judge(told, silence_s=3) == VM


def test_the_words_of_a_short_hello_are_waited_for() -> None:
    hello = Heard(speech_s=0.4, longest_s=0.4, latest_s=0.4, elapsed_s=3, awaits_words=True)
    assert judge(replace(hello, quiet_s=2.4), silence_s=3) is None
    assert judge(replace(hello, quiet_s=2.5), silence_s=3) == "uncertain"


def test_music_is_waited_for_until_nobody_would() -> None:
    music = Heard(speech_s=10, longest_s=10, music=True, elapsed_s=10)
    assert judge(music, silence_s=3) is None
    assert judge(Heard(speech_s=20, longest_s=20, music=True, elapsed_s=LONGEST_S), silence_s=3) == "uncertain"


@pytest.mark.parametrize(
    ("heard", "verdict"),
    [
        (Heard(beep=True, speech_s=4, longest_s=4, elapsed_s=5), VM),
        (Heard(beep=True, quiet_s=1.0, elapsed_s=2), None),
        (Heard(beep=True, quiet_s=1.6, elapsed_s=3), VM),
        (Heard(beep=True, text="The number you have dialed is not in service", elapsed_s=3), GONE),
    ],
)
def test_a_beep_is_a_mailbox_unless_words_say_otherwise(heard: Heard, verdict: str | None) -> None:
    assert judge(heard, silence_s=3) == verdict


def test_both_lists_have_every_kind() -> None:
    assert {who for who, _ in KNOWN} == {who for who, _ in HELD_OUT} == {HUMAN, VM, IVR, GONE, SCREEN}
    assert len(KNOWN) + len(HELD_OUT) >= 60
    assert not {text for _, text in KNOWN} & {text for _, text in HELD_OUT}
