"""Simulated callers as data: who they are, what they want, what they say to what they hear.

Patterns are matched, without regard to case, against what the caller's own ears understood of one turn of the agent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Words = tuple[str | float, ...]
"""Speech, with pauses in seconds between its parts.

{name}, {digits} and the parts of the number {digits_1}, {digits_2} and {digits_3} are filled in.
"""

Sound = Literal["cough", "mhm", "television"]

NUMBER = "number"
"""The key of the answer that gives the phone number: left out when the agent has just read the number back."""

_GROUPS = (slice(3), slice(3, 6), slice(6, None))
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Said whenever the agent's words match `hears` and not `unless`, once step `during` has begun, at most `times` times."""

    key: str
    hears: str
    say: Words
    during: str
    unless: str = ""
    times: int = 2


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing the caller wants, in order.

    It is put again (`again`, or the same words) once if the reply does not match `until`, then given up.
    `interrupts_after_s` starts it that long into the agent's next turn, `waits_s` lets so much silence pass first.
    """

    key: str
    say: Words
    again: Words = ()
    until: str = ""
    interrupts_after_s: float | None = None
    waits_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Reached when the agent is heard to say it."""

    key: str
    title: str
    hears: str


@dataclass(frozen=True, kw_only=True)
class Noise:
    """A sound on the line, `after_s` into the agent's turn of that number (0: the call), `level_db` against the voice."""

    sound: Sound
    turn: int
    after_s: float = 0.0
    level_db: float = -6.0
    lasts_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Persona:
    key: str
    title: str
    description: str
    steps: tuple[Step, ...]
    goals: tuple[Goal, ...]
    answers: tuple[Answer, ...] = ()
    noises: tuple[Noise, ...] = ()
    voice: str = "robin"
    speed: float = 1.0
    name: str = ""
    phone: str = ""
    farewell: Words = ("No, that's all. Thank you, goodbye.",)
    hangs_up_after_s: float = 10.0
    patience_s: float = 12.0
    max_turns: int = 16

    @property
    def digits(self) -> str:
        """The phone number as people say it: digit by digit, in groups."""
        return ", ".join(group for group in self.digit_groups if group)

    @property
    def digit_groups(self) -> tuple[str, str, str]:
        first, second, third = (" ".join(DIGITS[int(digit)] for digit in self.phone[cut]) for cut in _GROUPS)
        return first, second, third


_ASKS = r"(may|can|could|what|what's|tell|give|need|please|have|who|get|leave|with)"
_NAME_ASKED = (
    rf"\b{_ASKS}\b.{{0,60}}\bname\b|\byour (full |first )?name\b[^.]*\?|who (am i|is) (speaking|calling)|who('s| is) this"
)
_NUMBER_ASKED = (
    rf"\b{_ASKS}\b.{{0,80}}\b(number|phone|reach you|call you back|callback)\b|\byour\b.{{0,20}}\bnumber\b[^.]*\?|best number"
)
_REASON_ASKED = (
    r"\b(what|which|may|can|could|tell|please)\b[^.?]{0,60}\b(reason|regarding|concerning)\b"
    r"|\b(what|which|tell|please)\b[^.?]{0,60}\b(about|message|pass (it )?on|tell them|leave|say)\b"
)
_PASSED_ON = (
    r"\b(pass(ed)?|passing)\b.{0,60}\b(on|along|to)\b"
    r"|\bmessage\b.{0,40}\b(taken|sent|saved|noted|passed|recorded|delivered|through)\b"
    r"|\b(taken|noted|recorded|sent|saved)\b.{0,40}\b(message|that|it|details)\b"
    r"|\b(will|'ll)\b.{0,40}\b(call|get back|let|make sure|contact)\b"
    r"|\b(anything|something) else\b"
)
_HOURS = (
    r"\b\d{1,2}(:\d\d)?\s?([ap]\.?\s?m\b|o'?clock)"
    r"|\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b.{0,6}\b([ap]\.?\s?m\b|o'?clock)"
    r"|\bclosed\b|\bopen\b.{0,40}\b(from|to|until|till)\b"
)
_PRICE = (
    r"\$\s?\d+|\b\d+\s?dollars"
    r"|\b(hundred|ten|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)\b.{0,12}\bdollars"
)

HOURS_AND_MESSAGE = Persona(
    key="hours_and_message",
    title="Asks for hours and prices, leaves a message",
    description="Wants to know when the office is open on Saturday and what two things cost, then asks for a call back.",
    name="Maria Garcia",
    phone="5125550143",
    steps=(
        Step(
            key="hours",
            say=("Hi there. What time are you open on Saturday?",),
            again=("Sorry, what are your opening hours on Saturday?",),
            until=_HOURS,
        ),
        Step(
            key="cleaning",
            say=("Okay, thanks. And how much is a cleaning?",),
            again=("How much do you charge for a cleaning?",),
            until=_PRICE,
        ),
        Step(
            key="whitening",
            say=("And what does whitening cost?",),
            again=("I meant whitening. What is the price for whitening?",),
            until=_PRICE,
        ),
        Step(
            key="message",
            say=("I would like to leave a message for the dentist, please.",),
            again=(
                "Please take a message. My name is {name}.",
                0.5,
                "My phone number is {digits}.",
                0.4,
                "It is about my insurance.",
            ),
            until=_PASSED_ON,
        ),
    ),
    answers=(
        Answer(key="name", hears=_NAME_ASKED, during="message", unless=r"\bname (is|was) \w+", say=("My name is {name}.",)),
        Answer(
            key=NUMBER,
            hears=_NUMBER_ASKED,
            during="message",
            unless=r"\bnumber (is|was) \d",
            say=("My number is {digits}.",),
        ),
        Answer(
            key="reason",
            hears=_REASON_ASKED,
            during="message",
            unless=r"is there anything else|pass (this|that|it|your)",
            say=("I have a question about my insurance. Please call me back.",),
        ),
    ),
    goals=(
        Goal(key="hours", title="hears the opening hours", hears=_HOURS),
        Goal(key="price", title="hears a price", hears=_PRICE),
        Goal(key="message", title="is told that the message was taken", hears=_PASSED_ON),
    ),
)

CHANGES_MIND = Persona(
    key="changes_mind",
    title="Interrupts and changes their mind",
    description="Cuts the agent off in the middle of an answer, asks for something else, then for the address.",
    name="Daniel Reed",
    steps=(
        Step(
            key="week",
            say=("Hello. Could you tell me your opening hours for the whole week, please?",),
            until=_HOURS,
        ),
        Step(
            key="mind",
            say=("Oh, sorry, wait.", 0.2, "I changed my mind. What does a check-up cost?"),
            again=("How much is a check-up, please?",),
            until=_PRICE,
            interrupts_after_s=1.6,
        ),
        Step(
            key="address",
            say=("Thank you. And what is your address?",),
            again=("Where are you located?",),
            until=r"\bstreet\b|\bavenue\b|\broad\b|\blocated\b|\baddress is\b",
        ),
    ),
    goals=(
        Goal(key="price", title="hears a price", hears=_PRICE),
        Goal(key="address", title="hears the address", hears=r"\bstreet\b|\bavenue\b|\broad\b"),
    ),
    farewell=("That's all, thank you. Bye.",),
)

SAYS_LITTLE = Persona(
    key="says_little",
    title="Says almost nothing",
    description="Greets, stays silent, asks one short question, says bye.",
    steps=(
        Step(key="hello", say=("Hello?",)),
        Step(key="sunday", say=("Are you open on Sunday?",), waits_s=5.0, until=_HOURS),
    ),
    goals=(Goal(key="hours", title="hears whether it is open", hears=_HOURS),),
    farewell=("Okay, bye.",),
)

_HANDING = (
    r"\b(put|putting|connect(ing)?|transfer(ring)?|hand(ing)?)\b.{0,40}\b(you|through|over|call)\b"
    r"|\b(nobody|no one|not (be )?(able|available)|can't|cannot|unavailable|unable)\b"
)

WANTS_A_PERSON = Persona(
    key="wants_a_person",
    title="Wants to speak to a person",
    description="Asks to be put through to somebody because of a bill, and stays on the line while that is tried.",
    name="Susan Clark",
    steps=(
        Step(
            key="person",
            say=("Hello. I would like to speak to a person, please. It is about my last bill.",),
            again=("Please put me through to somebody at the front desk.",),
            until=_HANDING,
        ),
        Step(key="bill", say=("Hi, I think there is a mistake on my last bill.",), waits_s=20.0),
    ),
    goals=(Goal(key="person", title="is put through, or told why not", hears=_HANDING),),
    farewell=("Okay. Thank you, goodbye.",),
    patience_s=45.0,
)

PERSONAS: Mapping[str, Persona] = {each.key: each for each in (HOURS_AND_MESSAGE, CHANGES_MIND, SAYS_LITTLE, WANTS_A_PERSON)}
