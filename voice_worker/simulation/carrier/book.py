"""The phone book: who answers, how, at which number. `phonebook.toml` beside this file is the one used without another.

An entry is found by the whole number first, then by the patterns (`*0107`) in their order, then `default`.
"""

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

BUILT_IN: Final = Path(__file__).with_name("phonebook.toml")

Seconds = Annotated[float, Field(ge=0, le=86_400)]
Token = Annotated[int, Field(ge=0, lt=300)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Silence(_Data):
    """Answers and says nothing. `thin` sends no media at all, not even silence: for many legs at once."""

    kind: Literal["silence"] = "silence"
    thin: bool = False


class Tone(_Data):
    """Plays the tone of a token, and writes down every token it hears, also while it waits for `after_s`."""

    kind: Literal["tone"]
    token: Token
    seconds: Seconds = 86_400
    after_s: Seconds = 0


class Recording(_Data):
    """Plays a WAV file, or speaks a sentence, and stays."""

    kind: Literal["recording"]
    wav: Path | None = None
    say: str = ""
    times: int = 1


class Voicemail(_Data):
    """A greeting, a beep unless told otherwise, then it records until the caller hangs up or `longest_s` are over."""

    kind: Literal["voicemail"]
    greeting: str = "Hello, you have reached the voicemail of the person you are calling. Please leave a message after the tone."
    beep: bool = True
    longest_s: Seconds = 60


class Menu(_Data):
    """Speaks a prompt, `times` times, and goes on as the pressed digit says. Without a digit it hangs up."""

    kind: Literal["menu"]
    prompt: str = "For sales, press 1. For support, press 2."
    options: dict[str, "Actor"] = {}
    times: int = 3
    waits_s: Seconds = 4


class Screening(_Data):
    """A machine asks who calls and why; after an answer the person takes the call (`then`), or nobody does."""

    kind: Literal["screening"]
    question: str = "Hi, if you record your name and reason for calling, I'll see if this person is available."
    accepts: bool = True
    decides_s: Seconds = 2
    waits_s: Seconds = 15
    then: "Actor" = Silence()


class Presser(_Data):
    """Presses keys (`w` waits half a second) after `after_s`, while it does as `then` says."""

    kind: Literal["presses"]
    digits: str = Field(pattern=r"^[0-9A-D*#w]+$")
    after_s: Seconds = 3.0
    then: "Actor" = Silence()


class Talker(_Data):
    """A persona of the simulated calls; needs the speech process."""

    kind: Literal["persona"]
    persona: str


Actor = Annotated[Silence | Tone | Recording | Voicemail | Menu | Screening | Presser | Talker, Field(discriminator="kind")]


class Entry(_Data):
    """What happens when a number is called; a caller's own entry says who speaks when it calls in.

    outcome
      answer      after `after_s`, then `then`
      refuse      after `after_s`, with `status` and `text` as a SIP answer
      rings_out   nobody ever takes it
      at_cancel   nobody takes it, until we give up: answers at that very instant
    reply         how our request itself is answered: `given`, `never` (the phone does as it does, but we are not told),
                  `unclaimed` (nobody is there to take the request: no INVITE)
    reply_after_s how long our request waits for its answer after the phone has decided
    rings_on      it does not stop ringing when the time we ring for is over
    """

    outcome: Literal["answer", "refuse", "rings_out", "at_cancel"] = "answer"
    after_s: Seconds = 1.0
    rings: bool = True
    status: int = Field(default=486, ge=300, le=699)
    text: str = ""
    reply: Literal["given", "never", "unclaimed"] = "given"
    reply_after_s: Seconds = 0.0
    rings_on: bool = False
    then: Actor = Silence()
    hangs_up_after_s: Seconds | None = None


class Limits(_Data):
    """What the carrier takes at most; beyond it calls are refused with `status` and a text of its own."""

    cps: int | None = Field(default=None, ge=1)
    concurrent: int | None = Field(default=None, ge=1)
    status: int = Field(default=503, ge=400, le=699)
    cps_text: str = "CPS limit exceeded"
    concurrent_text: str = "Concurrent call limit exceeded"


class PhoneBook(_Data):
    limits: Limits = Limits()
    numbers: dict[str, Entry] = {}
    default: Entry = Entry(outcome="refuse", status=404, text="Not Found", rings=False, after_s=0.1)

    @model_validator(mode="after")
    def _plain(self) -> Self:
        for number in self.numbers:
            if not number.strip("*?").removeprefix("+").isalnum():
                raise ValueError(f"{number!r} is neither a number nor a pattern such as '*0107'")
        return self

    def entry(self, number: str) -> Entry:
        if number in self.numbers:
            return self.numbers[number]
        return next((entry for pattern, entry in self.numbers.items() if fnmatchcase(number, pattern)), self.default)


class BookError(Exception):
    """The text names the file, the place and what is wrong there."""


def load_book(path: Path = BUILT_IN) -> PhoneBook:
    """A book from a TOML or JSON file. Raises BookError."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return PhoneBook.model_validate_json(text)
        return PhoneBook.model_validate(tomllib.loads(text))
    except OSError as error:
        raise BookError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise BookError(f"{path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise BookError(f"{path}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error


def parse_actor(text: str) -> Actor:
    """An actor from its JSON. Raises BookError."""
    try:
        actor: Actor = TypeAdapter(Actor).validate_json(text)
    except ValidationError as error:
        raise BookError(f"{text[:80]!r} is no actor: {error.errors()[0]['msg']}") from error
    return actor
