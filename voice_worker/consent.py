"""What somebody says when they are asked whether a call may be recorded."""

import re
from typing import Final, Literal

Answer = Literal["yes", "no", "unclear"]

_RECORDING: Final = (
    r"(record|tap(e|ing)\b|aufzeich|aufgezeich|aufnehm|aufgenomm|aufnahm|mitschn|grab|enregistr|registr|grava|opne)"
)
_REFUSES: Final = re.compile(
    rf"\b(don'?t|do not|not|never|without|stop|nicht|keine?|ohne|no|sin|pas|sans|non|não|niet|geen)\b[^.?!]*\b{_RECORDING}", re.I
)
# A no that agrees.
_MINDS_NOT: Final = re.compile(
    r"\b((no|not an?|kein|nessun|geen|pas de) (problem\w*|problème|objections?)|(don'?t|do not|wouldn'?t) mind|"
    r"nichts dagegen|sin problemas?|no hay problema|sem problemas?)\b",
    re.I,
)
_NEGATED: Final = re.compile(
    r"\b(not|don'?t|do not|nicht|no estoy|pas) (\w+ )?"
    r"(ok(ay)?|fine|all ?right|agree|consent|want|like|einverstanden|de acuerdo|d'accord)",
    re.I,
)
_YES: Final = re.compile(
    r"\b(yes|yeah|yep|yup|sure|ok|okay|fine|all ?right|of course|certainly|absolutely|go ahead|agree|agreed|i do|please do|"
    r"ja|jawohl|klar|gerne?|natürlich|einverstanden|in ordnung|passt|sí|si|claro|vale|de acuerdo|por supuesto|oui|"
    r"d'accord|bien sûr|certo|va bene|sim|prima)\b",
    re.I,
)
_NO: Final = re.compile(
    r"\b(no|nope|nah|rather not|not|never|don'?t|do not|nein|nee|nicht|lieber nicht|non|não|niet|nunca)\b", re.I
)


def judge(text: str) -> Answer:
    """Only what cannot be meant otherwise is a yes or a no."""
    text = text.replace("’", "'")
    if _REFUSES.search(text) or _NEGATED.search(text):
        return "no"
    if _MINDS_NOT.search(text):
        return "yes"
    agrees, refuses = bool(_YES.search(text)), bool(_NO.search(text))
    if agrees == refuses:
        return "unclear"
    return "yes" if agrees else "no"


def withdraws(text: str) -> bool:
    """Whether somebody who agreed wants it to stop."""
    return bool(_REFUSES.search(text.replace("’", "'")))
