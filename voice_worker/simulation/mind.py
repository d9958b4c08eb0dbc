"""What a simulated caller says next, from what it has heard; no audio, no time."""

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from agents.personas import NUMBER, Answer, Persona, Step, Words
from voice_worker.simulation.check.words import normalise

YES: Words = ("Yes, that's right.",)
CORRECTION: Words = ("No, that's not right. My number is {digits}.",)
HELLO: Words = ("Hello? Are you there?",)
NAME_CORRECTION: Words = ("Sorry, my name is {name}.",)
GIVES_UP: Words = ("I'm sorry, I have to go. Bye.",)
BYE: Words = ("Okay, bye.",)
NO_THANKS: Words = ("No, thank you. Bye.",)

_HOLD = re.compile(r"\b(one|just a|a) (moment|second|sec|minute)\b|\blet me (check|see|look)\b|\bhold on\b|\bbear with\b", re.I)
_FAREWELL = re.compile(r"\b(good\s?bye|bye|have a (great|good|nice|wonderful|lovely)|take care)\b", re.I)
_CONFIRM = re.compile(
    r"\b(is (that|this|it)|that's|did i (get|have)|have i got)\b.{0,30}\b(right|correct|okay|ok)\b|\bcorrect\?", re.I
)
_PARDON = re.compile(
    r"\b(repeat|say (that|it) again|didn't (quite )?(catch|get|hear|understand)|did not (catch|get|hear|understand)|pardon)\b",
    re.I,
)
_AFTER_FAREWELLS_S = 3.0
_LEAST_DIGITS = 7
_LIKENESS = 0.6
_CORRECTIONS = 2
_REPEATS = 2

Move = Literal["say", "wait", "listen", "leave"]


@dataclass(frozen=True, slots=True)
class Reply:
    """say `words` after `after_s` of silence; wait for the agent to go on; leave at once.

    listen: the agent should end the call; the caller does so `after_s` later, or when it likes.
    """

    move: Move
    words: Words = ()
    why: str = ""
    after_s: float = 0.0


class Mind:
    def __init__(self, persona: Persona) -> None:
        self._persona = persona
        self._step = -1
        self._tries = 0
        self._satisfied = True
        self._given: Counter[str] = Counter()
        self._last: Words = ()
        self._spoken = 0
        self._unanswered = 0
        self.closing = False
        self.reached: list[str] = []

    @property
    def next_step(self) -> Step | None:
        """The step that follows once the present one is done."""
        following = self._step + 1
        return self._persona.steps[following] if following < len(self._persona.steps) else None

    def hear(self, text: str) -> Reply:
        """What to do now that the agent has finished a turn."""
        self._unanswered = 0
        self.note_goals(text)
        if self.closing:
            return self._while_closing(text)
        if self._spoken >= self._persona.max_turns:
            return self._close(GIVES_UP, why="too many turns")
        if _FAREWELL.search(text) and "?" not in text:
            return self._close(BYE, why="farewell")
        return self._answer(text) or self._carry_on(text)

    def hear_nothing(self) -> Reply:
        """The agent has kept silent for longer than the caller likes."""
        self._unanswered += 1
        if self._unanswered > 2 or self.closing:
            return Reply("leave", why="no answer")
        if self._step < 0:
            return self._advance()
        return self._say(HELLO if self._unanswered == 1 else self._last, why="no answer")

    def interrupt(self) -> Reply:
        """The moment of the next step's interruption has come."""
        self._satisfied = True
        return self._advance()

    def note_goals(self, text: str) -> None:
        for goal in self._persona.goals:
            if goal.key not in self.reached and re.search(goal.hears, text, re.I):
                self.reached.append(goal.key)

    def _while_closing(self, text: str) -> Reply:
        if "?" in text and self._limited("farewell", 1):
            return self._say(NO_THANKS, why="farewell")
        return Reply("listen", why="farewell", after_s=_AFTER_FAREWELLS_S if _FAREWELL.search(text) else 0.0)

    def _answer(self, text: str) -> Reply | None:
        number = self._number_in(text)
        verdict = self._judge(number, text) if number else ()
        if verdict == CORRECTION:
            return self._say(CORRECTION, why=f"number read back as {number}")
        if (misheard := self._misheard_name(text)) and self._limited("name corrected", _CORRECTIONS):
            return self._say(NAME_CORRECTION, why=f"called {misheard}")
        if not number and _PARDON.search(text) and self._last and self._limited(f"again {self._last}", _REPEATS):
            return self._say(self._last, why="asked to repeat")
        answers = [
            each for each in self._persona.answers if self._asked(each, text, number) and self._limited(each.key, each.times)
        ]
        if not answers and not verdict and _CONFIRM.search(text) and self._limited("confirm", 3):
            verdict = YES
        if answers or verdict:
            words = [part for said in (verdict, *(each.say for each in answers)) if said for part in (0.4, *said)]
            return self._say(
                tuple(words[1:]), why=" and ".join([*(["confirms"] if verdict else []), *(each.key for each in answers)])
            )
        if _HOLD.search(text) and "?" not in text and self._limited("hold", 3):
            return Reply("wait", why="asked to hold")
        return None

    def _asked(self, answer: Answer, text: str, number: str) -> bool:
        begun = any(step.key == answer.during for step in self._persona.steps[: self._step + 1])
        if not begun or (number and answer.key == NUMBER):
            return False
        return bool(re.search(answer.hears, text, re.I)) and not (answer.unless and re.search(answer.unless, text, re.I))

    def _number_in(self, text: str) -> str:
        runs = [word for word in normalise(text) if word.isdigit() and len(word) >= _LEAST_DIGITS]
        return runs[0] if runs and self._persona.phone else ""

    def _judge(self, number: str, text: str) -> Words:
        """A number was read back: confirm it, or correct it a few times."""
        phone, step = self._persona.phone, self._current
        if number.endswith(phone) or phone.endswith(number):
            self._satisfied = self._satisfied or bool(step and step.until and re.search(step.until, text, re.I))
            return YES if self._limited("read back", 3) else ()
        return CORRECTION if self._limited("corrected", _CORRECTIONS) else ()

    def _misheard_name(self, text: str) -> str:
        """A word much like one of the caller's names, once the caller has given it and the agent does not say it rightly."""
        heard = [word for word in re.findall(r"[A-Z][a-z]+", text) if len(word) > 3]
        names = [name for name in self._persona.name.split() if name not in heard] if self._given["name"] else []
        near = (word for name in names for word in heard if SequenceMatcher(None, name, word).ratio() >= _LIKENESS)
        return next((word for word in near if word not in self._persona.name.split()), "")

    @property
    def _current(self) -> Step | None:
        return self._persona.steps[self._step] if self._step >= 0 else None

    def _carry_on(self, text: str) -> Reply:
        step = self._current
        done = self._satisfied or step is None or not step.until or bool(re.search(step.until, text, re.I))
        if done or self._tries >= 2 or step is None:
            return self._advance()
        self._tries += 1
        return self._say(step.again or step.say, why=f"{step.key} again")

    def _advance(self) -> Reply:
        step = self.next_step
        if step is None:
            return self._close(self._persona.farewell, why="done")
        self._step += 1
        self._tries, self._satisfied = 1, False
        return self._say(step.say, why=step.key, after_s=step.waits_s)

    def _close(self, words: Words, *, why: str) -> Reply:
        self.closing = True
        return self._say(words, why=why)

    def _say(self, words: Words, *, why: str, after_s: float = 0.0) -> Reply:
        self._last = words if words not in (HELLO, YES) else self._last
        self._spoken += 1
        return Reply("say", words=words, why=why, after_s=after_s)

    def _limited(self, key: str, times: int) -> bool:
        """Counts a use; False once it was used up."""
        self._given[key] += 1
        return self._given[key] <= times


def words_of(persona: Persona) -> list[Words]:
    """Everything the caller may say, likely first."""
    steps = [words for step in persona.steps for words in (step.say, step.again)]
    answers = [answer.say for answer in persona.answers]
    corrections = [CORRECTION, NAME_CORRECTION] if persona.phone else []
    fixed = [HELLO, BYE, NO_THANKS, GIVES_UP]
    return [words for words in (*steps, *answers, YES, persona.farewell, *corrections, *fixed) if words]
