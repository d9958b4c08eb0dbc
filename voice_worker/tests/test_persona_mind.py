import re

import pytest

from agents.personas import CHANGES_MIND, HOURS_AND_MESSAGE, PERSONAS, SAYS_LITTLE, Persona
from voice_worker.simulation.mind import BYE, CORRECTION, GIVES_UP, HELLO, NAME_CORRECTION, NO_THANKS, YES, Mind, Reply, words_of

GREETING = "Thank you for calling Bright Smile Dental, this is Ava. How can I help you?"


def talk(persona: Persona, *heard: str) -> tuple[Mind, list[Reply]]:
    mind = Mind(persona)
    return mind, [mind.hear(text) for text in heard]


def test_a_smooth_call_reaches_every_goal():
    mind, replies = talk(
        HOURS_AND_MESSAGE,
        GREETING,
        "On Saturday we are open from 10 AM to 2 PM.",
        "A cleaning is 90 dollars.",
        "Whitening costs $250. Can I help with anything else?",
        "Of course. May I have your name, please?",
        "Thank you, Maria. And your phone number?",
        "I have 512-555-0143. Is that right? And what is it about?",
        "Thank you. I will pass that on to the dentist. Is there anything else?",
        "Have a great day. Goodbye!",
    )
    assert [reply.why for reply in replies] == [
        "hours", "cleaning", "whitening", "message", "name", "number", "confirms and reason", "done", "farewell",
    ]  # fmt: skip
    assert mind.reached == ["hours", "price", "message"]
    assert mind.closing


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("May I have your name and phone number?", "name and number"),
        ("Could you tell me your name, your number and the reason for the call?", "name and number and reason"),
        ("What is the best number to reach you?", "number"),
        ("Who am I speaking with?", "name"),
        ("And your number?", "number"),
        ("What would you like me to tell them?", "reason"),
        ("What is the message?", "reason"),
        ("Sure, I can take a message. What's your full name?", "name"),
    ],
)
def test_asked_for_several_things_it_gives_all(asked, given):
    _, replies = talk(HOURS_AND_MESSAGE, GREETING, "10 AM to 2 PM.", "$90.", "$250.", asked)
    assert replies[-1].why == given


def test_a_name_asked_for_too_early_is_not_given():
    _, replies = talk(HOURS_AND_MESSAGE, "Hello, may I have your name?")
    assert replies[0].why == "hours"


@pytest.mark.parametrize(
    ("read_back", "said"),
    [
        ("So that's 5 1 2, 5 5 5, 0 1 4 3?", YES),
        ("Your number is 1 512 555 0143, correct?", YES),
        ("Five one two, five five five, oh one four three, is that right?", YES),
        ("I have 512-555-0144. Is that correct?", CORRECTION),
        ("I have 512 555 143.", CORRECTION),
    ],
)
def test_a_number_read_back_is_confirmed_or_corrected(read_back, said):
    _, replies = talk(HOURS_AND_MESSAGE, GREETING, "10 AM", "$90", "$250", read_back)
    assert replies[-1].words == said


@pytest.mark.parametrize(
    ("addressed", "why"),
    [
        ("Thank you, Marita. And your phone number?", "called Marita"),
        ("So your name is Maria Garza. And your number?", "called Garza"),
        ("Thank you, Maria. And your phone number?", "number"),
        ("Thanks, Maria Garcia. What is your number?", "number"),
        ("Thank you. The dentist on Market Street needs your number, please?", "number"),
    ],
)
def test_a_misheard_name_is_put_right(addressed, why):
    _, replies = talk(HOURS_AND_MESSAGE, GREETING, "10 AM", "$90", "$250", "May I have your name?", addressed)
    assert replies[-1].why == why
    assert (replies[-1].words == NAME_CORRECTION) == (why != "number")


def test_after_both_said_goodbye_the_caller_waits_only_a_moment():
    mind, _ = talk(SAYS_LITTLE, GREETING, "Hello.", "On Sunday we are closed.")
    assert mind.hear("Goodbye!").after_s == 3.0
    assert mind.hear("I see.").after_s == 0.0


def test_it_stops_correcting_after_a_while():
    mind, _ = talk(HOURS_AND_MESSAGE, GREETING, "10 AM", "$90", "$250")
    said = [mind.hear("Is it 512 555 9999?").words for _ in range(4)]
    assert said[:2] == [CORRECTION, CORRECTION]
    assert CORRECTION not in said[2:]


def test_a_question_not_understood_is_put_again_once():
    _, replies = talk(HOURS_AND_MESSAGE, GREETING, "We are in Oak Street.", "We are in Oak Street.", "$90")
    assert [reply.why for reply in replies] == ["hours", "hours again", "cleaning", "whitening"]


def test_asked_to_repeat_it_repeats_its_last_words():
    _, replies = talk(HOURS_AND_MESSAGE, GREETING, "Sorry, I didn't catch that. Could you say that again?")
    assert replies[1].words == replies[0].words


def test_asked_to_hold_it_waits():
    _, replies = talk(HOURS_AND_MESSAGE, GREETING, "One moment, let me check.")
    assert replies[1].move == "wait"


def test_a_silent_agent_is_asked_twice_then_left():
    mind = Mind(HOURS_AND_MESSAGE)
    mind.hear(GREETING)
    replies = [mind.hear_nothing() for _ in range(3)]
    assert replies[0].words == HELLO
    assert "".join(map(str, replies[1].words)).startswith("Hi there")
    assert replies[2].move == "leave"


def test_an_agent_that_never_greets_is_spoken_to():
    assert Mind(SAYS_LITTLE).hear_nothing().words == ("Hello?",)


def test_after_its_farewell_it_only_listens():
    mind, replies = talk(
        SAYS_LITTLE, GREETING, "Hello, how can I help?", "On Sunday we are closed.", "Anything else?", "Goodbye!"
    )
    assert [reply.words for reply in replies[:2]] == [("Hello?",), ("Are you open on Sunday?",)]
    assert replies[1].after_s == 5.0
    assert replies[2].words == SAYS_LITTLE.farewell
    assert replies[3].words == NO_THANKS
    assert [mind.hear(text).move for text in ("Anything else?", "Goodbye!")] == ["listen", "listen"]
    assert mind.reached == ["hours"]


def test_an_agent_that_says_goodbye_first_gets_a_goodbye():
    mind, replies = talk(CHANGES_MIND, GREETING, "Goodbye.")
    assert replies[1].words == BYE
    assert mind.closing


@pytest.mark.parametrize("persona", PERSONAS.values(), ids=lambda persona: persona.key)
@pytest.mark.parametrize("always", ["", "Could you repeat that?", "Is that right?", "My number is 5125559999, right?", GREETING])
def test_no_agent_can_keep_it_talking_for_ever(persona, always):
    mind = Mind(persona)
    replies = [mind.hear(always) for _ in range(60)]
    assert sum(reply.move == "say" for reply in replies) <= persona.max_turns + 2
    assert mind.closing
    assert replies[-1].move == "listen"


def test_too_many_turns_end_with_an_excuse():
    mind = Mind(HOURS_AND_MESSAGE)
    for _ in range(HOURS_AND_MESSAGE.max_turns):
        mind.hear_nothing() if mind.hear("").move == "listen" else None
    assert mind.closing or mind.hear("").words == GIVES_UP


def test_an_interruption_brings_the_next_step():
    mind, _ = talk(CHANGES_MIND, GREETING)
    assert mind.next_step.interrupts_after_s == 1.6
    assert mind.interrupt().why == "mind"
    assert mind.hear("A check-up is 60 dollars.").why == "address"


@pytest.mark.parametrize("persona", PERSONAS.values(), ids=lambda persona: persona.key)
def test_personas_are_complete(persona):
    assert persona.steps
    assert persona.goals
    for pattern in [*(step.until for step in persona.steps), *(goal.hears for goal in persona.goals)]:
        re.compile(pattern)
    assert all(isinstance(part, str | float) for words in words_of(persona) for part in words)
    assert {answer.during for answer in persona.answers} <= {step.key for step in persona.steps}


def test_the_phone_number_is_spoken_digit_by_digit():
    assert HOURS_AND_MESSAGE.digits == "five one two, five five five, zero one four three"
