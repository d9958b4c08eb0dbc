"""Whether a caller who pauses has finished: told from the words so far.

A speaking person pauses about a second inside a phone number, after "my number is" and while searching for a word. The
framework then waits for the longest instead of the shortest endpointing delay.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from livekit.agents.language import LanguageCode
from livekit.agents.llm import ChatContext

FINISHED: Final = 1.0
GOES_ON: Final = 0.0
_THRESHOLD: Final = 0.5
_CONTEXT_ITEMS: Final = 6
_WHOLE_NUMBER: Final = 10
_LOCAL_NUMBER: Final = 7
_LONE_DIGITS: Final = 3

_NUMBER_WORDS: Final = {
    **dict.fromkeys("zero oh one two three four five six seven eight nine".split(), 1),
    **dict.fromkeys("null eins zwei drei vier fünf sechs sieben acht neun".split(), 1),
    **dict.fromkeys("cero uno dos tres cuatro cinco seis siete ocho nueve".split(), 1),
    **dict.fromkeys("zéro un deux trois quatre cinq sept huit neuf".split(), 1),
}
_ABOUT_NUMBERS: Final = re.compile(
    r"\b(?:phone|number|call (?:me|you) (?:back )?(?:at|on)|reach (?:me|you) (?:at|on)|digits?"
    r"|telefon\w*|nummer|número|teléfono|numéro|téléphone)\b",
    re.IGNORECASE,
)
# Words after which a sentence cannot end, and fillers. English also where the caller speaks something else: harmless.
_OPEN_WORDS: Final = frozenset(
    (
        "a an the my your our their his her this these and or but so because if when while that which who than of to for from "
        "with at on in by about into is are was were am be i'm it's i'd i'll we're my name's uh um er erm hmm well like "
        "der die das ein eine einen mein meine und oder aber weil dass wenn mit von für zu bei auf ist bin äh ähm also "
        "el la los las un una mi mis y o pero porque que con de para en es soy eh este "
        "le les une mon ma mes et ou mais parce que avec pour dans est suis euh"
    ).split()
)
_OPEN_ENDINGS: Final = tuple(
    tuple(phrase.split())
    for phrase in (
        "i would like,i'd like,i want,i need,i was wondering,i was,can you,could you,do you,let me,let me see,let me think,"
        "hold on,one moment,just a second,my name is,my number is,the number is,you can reach me,call me back,"
        "ich möchte,ich hätte gern,einen moment,me gustaría,je voudrais"
    ).split(",")
)
_TOKEN: Final = re.compile(r"\d+|[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class _Run:
    """The digits at the end of an utterance, in the groups they were written in."""

    groups: tuple[int, ...]
    spoken: bool

    @property
    def digits(self) -> int:
        return sum(self.groups)


def goes_on(said: str, *, asked: str = "") -> bool:
    """Whether somebody who said this and pauses is likely to go on; `asked` is what the agent said before."""
    text = said.strip()
    if not text or text.endswith("?"):
        return False
    if text.endswith(("...", "…", ",", "-", "–", "—", ":")):
        return True
    tokens = [token.lower().replace("’", "'") for token in _TOKEN.findall(text)]
    if not tokens:
        return False
    run = _digits_at_the_end(tokens)
    if run.digits:
        return _number_goes_on(run, text=text, asked=asked)
    return tokens[-1] in _OPEN_WORDS or any(tuple(tokens[-len(ending) :]) == ending for ending in _OPEN_ENDINGS)


def _number_goes_on(run: _Run, *, text: str, asked: str) -> bool:
    expected = bool(_ABOUT_NUMBERS.search(text) or _ABOUT_NUMBERS.search(_last_sentence(asked)))
    if not expected and (run.digits < _LONE_DIGITS or (len(run.groups) == 1 and not run.spoken and run.digits <= 4)):
        return False
    if run.digits == _LOCAL_NUMBER:
        return run.groups[-2:] != (3, 4)
    return run.digits < _WHOLE_NUMBER


def _digits_at_the_end(tokens: Sequence[str]) -> _Run:
    groups: list[int] = []
    spoken = False
    for token in reversed(tokens):
        if token.isdigit():
            groups.append(len(token))
        elif token in _NUMBER_WORDS:
            groups.append(1)
            spoken = True
        else:
            break
    return _Run(groups=tuple(reversed(groups)), spoken=spoken)


def _last_sentence(text: str) -> str:
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]
    return sentences[-1] if sentences else ""


class PhraseDetector:
    """A turn detector for `AgentSession`: local, immediate, from the words alone."""

    @property
    def model(self) -> str:
        return "phrases"

    @property
    def provider(self) -> str:
        return "local"

    async def unlikely_threshold(self, language: LanguageCode | None) -> float | None:
        return _THRESHOLD

    async def supports_language(self, language: LanguageCode | None) -> bool:
        return True

    async def predict_end_of_turn(
        self,
        chat_ctx: ChatContext,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 the framework's own signature
    ) -> float:
        messages = [item for item in chat_ctx.items[-_CONTEXT_ITEMS:] if item.type == "message"]
        said = messages[-1].text_content if messages and messages[-1].role == "user" else ""
        asked = next((item.text_content for item in reversed(messages) if item.role == "assistant"), "")
        return GOES_ON if goes_on(said or "", asked=asked or "") else FINISHED
