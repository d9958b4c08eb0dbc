"""When a pause is waited out."""

import pytest
from livekit.agents.llm import ChatContext

from voice_worker.endpointing import FINISHED, GOES_ON, PhraseDetector, goes_on

ASKED = "Of course. What is your phone number?"


@pytest.mark.parametrize(
    "said",
    [
        "My number is",
        "My number is.",
        "My number is 512",
        "My number is 512, 555",
        "It's 512-555.",
        "My number is 5 1 2 5 5 5 0 1",
        "five one two five five",
        "You can reach me at 512 555 01",
        "My name is",
        "I would like to",
        "I want a cleaning and",
        "Well, um",
        "So I was thinking...",
        "Hello, I'd like,",
    ],
)
def test_an_unfinished_phrase_goes_on(said: str) -> None:
    assert goes_on(said)


@pytest.mark.parametrize(
    "said",
    [
        "Hello?",
        "What time do you open on Saturday?",
        "My number is 512 555 0143.",
        "My number is 512-555-0143",
        "five one two five five five oh one four three",
        "555-0143",
        "My name is Maria Lopez.",
        "At 3.",
        "I was born in 1984.",
        "It costs 250",
        "Thanks, bye.",
        "",
        "是的",
    ],
)
def test_a_finished_phrase_does_not(said: str) -> None:
    assert not goes_on(said)


@pytest.mark.parametrize(("said", "expected"), [("512", True), ("512 555", True), ("555 0143", False), ("0143", True)])
def test_digits_are_waited_for_after_the_agent_asked_for_a_number(said: str, expected: bool) -> None:
    assert goes_on(said, asked=ASKED) is expected


def test_digits_after_another_question_are_an_answer() -> None:
    assert not goes_on("12", asked="For how many people?")


async def test_the_detector_reads_the_last_words_of_both() -> None:
    context = ChatContext.empty()
    context.add_message(role="assistant", content=ASKED)
    context.add_message(role="user", content="512 555")
    detector = PhraseDetector()
    assert await detector.predict_end_of_turn(context) == GOES_ON
    context.items[-1].content = ["512 555 0143"]
    assert await detector.predict_end_of_turn(context) == FINISHED
    assert await detector.unlikely_threshold(None) == 0.5
