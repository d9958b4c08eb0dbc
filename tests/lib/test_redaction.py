"""What is hidden, and what must stay as it is."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceplatform.lib.redaction import mask_card_numbers, mask_log_event, mask_phone_numbers

CARDS = [
    "4111111111111111",
    "5555555555554444",
    "378282246310005",
    "6011111111111117",
    "30569309025904",
    "4222222222222",
    "2223003122003222",
]
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("call +15125550142 now", "call +*********42 now"),
        ("+1 (512) 555-0142", "+* (***) ***-**42"),
        ("(512) 555-0142.", "(***) ***-**42."),
        ("512-555-0142", "***-***-**42"),
        ("sip:+4915112345678@host", "sip:+***********78@host"),
        ("room=in_+15125550142_a1b2", "room=in_+*********42_a1b2"),
        ("two: 5125550142, 5125550143", "two: ********42, ********43"),
    ],
)
def test_phone_numbers_are_masked(text: str, masked: str) -> None:
    assert mask_phone_numbers(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24 03:39:21",
        "2026-11-24T03:39:21.123456Z",
        "open 9 to 5",
        "90 dollars",
        "attempt 3 of 10",
        "019930a1-7f3b-7c52-9d1e-0123456789ab",
        "port 41234",
        "v1.8.9",
        "",
    ],
)
def test_other_numbers_stay_in_logs(text: str) -> None:
    assert mask_phone_numbers(text) == text


def test_log_lines_carry_no_phone_number() -> None:
    line = mask_log_event(None, "info", {"event": "dialing +15125550142", "call_id": "15125550142", "took": 15125550142})
    assert line == {"event": "dialing +*********42", "call_id": "15125550142", "took": 15125550142}


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("separator", ["", " ", "-", ", ", " - "])
def test_card_numbers_are_masked_however_they_are_grouped(card: str, separator: str) -> None:
    groups = [card[at : at + 4] for at in range(0, len(card), 4)]
    masked = mask_card_numbers(f"My card is {separator.join(groups)}. Thanks, that is 42.")
    assert [c for c in masked if c.isdigit()] == [*card[-4:], "4", "2"]
    assert masked.startswith("My card is ****")
    assert masked.endswith(". Thanks, that is 42.")


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("separator", [" ", ", "])
def test_card_numbers_spoken_digit_by_digit_are_masked(card: str, separator: str) -> None:
    spoken = separator.join(WORDS[int(digit)] for digit in card)
    masked = mask_card_numbers(f"It's {spoken}.")
    assert masked == f"It's {separator.join('*' * (len(card) - 4) + card[-4:])}."


def test_a_card_number_is_found_beside_other_numbers() -> None:
    masked = mask_card_numbers("12 4111 1111 1111 1111 05 27 and code 123")
    assert masked == "12 **** **** **** 1111 05 27 and code 123"
    two = mask_card_numbers("4111 1111 1111 1111 5555 5555 5555 4444")
    assert two == "**** **** **** 1111 **** **** **** 4444"


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "my number is 512 555 0142",
        "+1 512 555 0142 or 512 555 0143",
        "open 9 to 5, Saturday 10 to 2",
        "1234567890123",
        "one or two, maybe three",
        "9999 9999 9999 9995",
        "",
    ],
)
def test_other_numbers_stay_in_transcripts(text: str) -> None:
    assert mask_card_numbers(text) == text


@given(st.text())
def test_any_text_passes_and_keeps_its_length_or_shrinks(text: str) -> None:
    assert len(mask_card_numbers(text)) <= len(text)
    assert len(mask_phone_numbers(text)) == len(text)


@given(st.text(alphabet="0123456789 -,.", max_size=300))
def test_masking_again_shows_nothing_more(text: str) -> None:
    once = mask_phone_numbers(text)
    assert all(again in (before, "*") for before, again in zip(once, mask_phone_numbers(once), strict=True))
    cards = mask_card_numbers(text)
    assert len(mask_card_numbers(cards)) <= len(cards)


@pytest.mark.parametrize(
    "text", ["1 " * 50_000, "one " * 25_000, "1" * 100_000, "+1 " * 30_000, "(" * 100_000, "4" + " -" * 50_000]
)
def test_long_input_takes_no_time(text: str) -> None:
    began = time.perf_counter()
    mask_card_numbers(text)
    mask_phone_numbers(text)
    assert time.perf_counter() - began < 2
