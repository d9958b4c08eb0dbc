"""What text becomes before it is spoken."""

import pytest

from voiceplatform.embedded.speech.text import pieces, read_digits


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Call 512 555 0143 now.", "Call 5 1 2, 5 5 5, 0 1 4 3 now."),
        ("(512) 555-0143.", "5 1 2, 5 5 5, 0 1 4 3."),
        ("512.555.0143", "5 1 2, 5 5 5, 0 1 4 3"),
        ("+1 512-555-0143", "plus 1, 5 1 2, 5 5 5, 0 1 4 3"),
        ("It is 5125550143.", "It is 5 1 2, 5 5 5, 0 1 4 3."),
        ("on 12/25/2026: 5125550143", "on 12/25/2026: 5 1 2, 5 5 5, 0 1 4 3"),
    ],
)
def test_phone_numbers_are_read_digit_by_digit(written: str, spoken: str) -> None:
    assert read_digits(written) == spoken


@pytest.mark.parametrize(
    "written",
    [
        "It costs 250 dollars.", "1,234,567.89 dollars", "$1234567", "order 123456", "9 AM to 5 PM", "10:30 - 11:45",
        "on 2026-11-25", "on 2026-11-25 10:30", "25.11.2026", "from 1990-2000", "3.14159265", "12345678%",
        "5 1 2, 5 5 5, 0 1 4 3",
    ],
)  # fmt: skip
def test_other_numbers_stay_as_they_are(written: str) -> None:
    assert read_digits(written) == written


def test_sentences_are_spoken_one_by_one() -> None:
    assert list(pieces("We are open.  Come by!\nAnything else?")) == ["We are open.", "Come by!", "Anything else?"]


def test_an_abbreviation_does_not_end_a_sentence() -> None:
    assert list(pieces("Dr. Smith is in from 9 a.m. on Monday. Bye.")) == ["Dr. Smith is in from 9 a.m. on Monday.", "Bye."]
    assert list(pieces("Please ask for Dr.")) == ["Please ask for Dr."]


def test_a_long_first_sentence_begins_with_its_first_clause() -> None:
    text = "Thank you for calling Bright Smile Dental, the friendly practice in Austin, Texas, this is Ava speaking today."
    assert list(pieces(text)) == [
        "Thank you for calling Bright Smile Dental,",
        "the friendly practice in Austin,",
        "Texas, this is Ava speaking today.",
    ]
    assert list(pieces(f"Hello. {text}")) == ["Hello.", text]


@pytest.mark.parametrize("text", ["", "  \n", "...", "— ! ?"])
def test_what_cannot_be_spoken_is_left_out(text: str) -> None:
    assert list(pieces(text)) == []
