"""Who or what answered a call to somebody: told from the first words, their timing and the sounds around them.

livekit-agents' own detection (`AMD`) runs without LiveKit's cloud too, but it asks a language model about every greeting:
the small local one cannot tell, and any other costs money and the person's time. This one needs neither, and it leans
towards people: a mailbox that is talked to costs a minute, a person who is taken for one is lost.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

AnsweredBy = Literal["human", "machine_vm", "machine_ivr", "machine_unavailable", "screening", "uncertain"]

LONGEST_S: Final = 20.0
"""After this long nobody waits any more for more to be heard."""

_ENOUGH: Final = 2
_AFTER_HELLO_S: Final = 0.7
_AFTER_WORDS_S: Final = 1.0
_AFTER_MANY_WORDS_S: Final = 1.3
_AFTER_DOUBT_S: Final = 2.0
_HELLO_WORDS, _MANY_WORDS = 3, 10
_WITHOUT_WORDS_S: Final = 1.5
_BRIEF_S, _AFTER_BRIEF_S = 0.8, 2.0
_LONE_BEEP_S: Final = 1.5
_WORDS_COME_S: Final = 2.5
_COUGH_S: Final = 0.5

Kind = Literal["blocked", "screening", "menu", "voicemail", "unavailable", "person"]
_DIGIT: Final = r"(?:\d|one|two|three|four|five|six|seven|eight|nine|zero|star|pound|hash)"
_PHONE_OWNER: Final = r"(?:person|party|customer|subscriber|user|member|number|extension)"

PHRASES: Final[Sequence[tuple[Kind, int, str]]] = (
    # What takes no message, whatever else it says. Texts are in small letters without punctuation and apostrophes.
    ("blocked", 2, r"(?:mail ?box|voice ?mail|inbox) (?:box )?(?:is |has become )?(?:currently |now )?full"),
    ("blocked", 2, r"is full and (?:can ?not|cant|is not)"),
    (
        "blocked",
        2,
        (
            r"(?:can ?not|cant|unable to|not able to|does ?n[o]?t|not|longer) (?:accept|accepting|"
            r"take|taking|receive|receiving|record) "
            r"(?:any |new |more |your )*(?:voice )?messages?"
        ),
    ),
    (
        "blocked",
        2,
        r"(?:mail ?box|voice ?mail) (?:box )?(?:that )?(?:has not|hasnt|isnt) (?:yet )?(?:been )?(?:set ?up|initiali[sz]ed)",
    ),
    ("blocked", 2, r"(?:can ?not|cant|could not|couldnt) be completed"),
    ("blocked", 2, r"(?:not|no longer) in service"),
    ("blocked", 2, r"number .*has been (?:disconnected|changed)"),
    ("blocked", 2, r"(?:not|isnt) (?:accepting|receiving) (?:any )?(?:incoming )?calls"),
    ("blocked", 2, r"out of (?:the )?(?:coverage|service|reach)"),
    ("blocked", 2, r"kein anschluss unter|nicht vergeben|mailbox ist voll|buzon (?:\w+ )?lleno"),
    # A phone that asks who calls before it rings.
    ("screening", 2, r"(?:record|say|state|give|tell me|announce) your name (?:and|after|followed)(?! number)(?! phone)"),
    ("screening", 2, r"(?:say|tell me|state) (?:who you are|why you(?:re| are) calling)"),
    ("screening", 2, r"(?:ill|i will) (?:see|check) if (?:this|the|that) person|see if (?:this|the) person is available"),
    ("screening", 2, r"screening (?:service|assistant|calls|this call|your call)|call screen(?:ing|er)"),
    ("screening", 2, r"screens? (?:all |your |unknown |unwanted |incoming |their )*calls?"),
    ("screening", 2, r"(?:will )?(?:try|trying) to connect (?:you|your call)|before i (?:try to |can )?connect you"),
    ("screening", 2, r"assistant (?:is )?(?:taking|answering|screening|handling)"),
    ("screening", 2, r"get a (?:copy|transcript) of this (?:conversation|call)"),
    # A choice of keys, or a queue.
    ("menu", 2, rf"(?:press|dial|enter) {_DIGIT}\b(?! \w+ times)|press (?:the )?(?:{_DIGIT}|any) (?:key|button)"),
    ("menu", 2, r"(?:menu|options) (?:options )?(?:have|has) (?:recently )?changed|main menu|following (?:menu|options)"),
    ("menu", 2, r"(?:your |the )?partys? extension|know (?:the|your) extension|dial by name"),
    ("menu", 2, r"oprima|marque (?:el )?(?:\d|uno|dos)|pulse (?:\d|uno|dos)|drucken sie (?:die|bitte)|tapez|appuyez"),
    ("menu", 2, r"your call (?:is (?:very )?important|will be answered|is being transferred|has been placed)"),
    ("menu", 2, r"(?:all|our) (?:of )?(?:our )?(?:agents|representatives|operators|associates|advisors|lines) (?:are|is)"),
    ("menu", 2, r"(?:virtual|automated|digital) (?:assistant|agent|attendant|system|receptionist)"),
    ("menu", 2, r"in a few words|you can say things like|next available (?:agent|representative|operator|associate)"),
    ("menu", 1, r"(?:may|will|are|is|being) (?:be )?(?:monitored|recorded)|stay on the line|listen (?:carefully|closely)"),
    ("menu", 1, r"thank you for calling|thanks for calling|welcome to"),
    # A mailbox that takes one.
    ("voicemail", 2, r"(?:after|at|following|hear) (?:the|this) (?:tone|beep|signal)|wait for the (?:tone|beep)"),
    (
        "voicemail",
        2,
        (
            r"(?:leave|record) (?:me |us |him |her |them )?(?:a |an |your |"
            r"the )?(?:\w+ )?(?:\w+ )?(?:message|voice ?mail|voicemessage)"
        ),
    ),
    ("voicemail", 2, r"leave (?:me |us )?(?:your|a) (?:\w+ )?(?:name|number|phone|contact)"),
    (
        "voicemail",
        2,
        (
            r"(?:reached|forwarded to|connected to|got) (?:the |a |an |my |"
            r"our )?(?:\w+ ){0,3}(?:voice ?mail|mail ?box|answering machine|"
            r"voice message system|message system|messaging)"
        ),
    ),
    ("voicemail", 2, r"voice ?mail (?:of|for|box|service|system)|mail ?box (?:of|for)|automat\w+ voice mess\w+"),
    (
        "voicemail",
        2,
        r"record your message|youve reached my|(?:can ?not|cant|unable to) (?:get|come) to the phone .*(?:leave|message)",
    ),
    ("voicemail", 2, r"nachricht (?:nach|hinterlassen)|nach dem (?:signal|piep|ton)|hinterlassen sie|anrufbeantworter"),
    (
        "voicemail",
        2,
        (
            r"deje (?:un|su) mensaje|despues (?:del|de la) (?:tono|senal)|buzon de voz|laissez (?:un|"
            r"votre) message|apres le (?:bip|signal)"
        ),
    ),
    (
        "voicemail",
        1,
        r"(?:youve|you have|you ve|have) reached|this is the (?:voice ?mail|mail ?box)|\bvoice ?mail\b|\bmail ?box\b",
    ),
    (
        "voicemail",
        1,
        (
            r"(?:can ?not|cant|unable to|not able to|not available to|couldnt) (?:take|get to|"
            r"come to|answer|pick up) (?:your|the|my)"
        ),
    ),
    (
        "voicemail",
        1,
        r"(?:get|call|ring|calling) (?:back to you|you back|you right back)|(?:return|returning) your call|missed your call",
    ),
    ("voicemail", 1, r"(?:as soon as|earliest) (?:i|we|possible|convenience)|at (?:my|our) earliest"),
    ("voicemail", 1, r"away from (?:my|the|our) (?:phone|desk)|on the other line or"),
    # Nobody there, and perhaps a mailbox after it.
    (
        "unavailable",
        2,
        (
            rf"{_PHONE_OWNER} (?:you (?:are |re |were |have |ve )?|youre |youve )(?:called|calling|"
            rf"dialed|dialled|trying to \w+|reached)"
        ),
    ),
    ("unavailable", 2, r"(?:wireless|mobile|cellular) (?:customer|subscriber)|nicht erreichbar|no se encuentra disponible"),
    ("unavailable", 1, r"(?:is|are|am) (?:not|currently|temporarily|un)? ?(?:not )?(?:un)?available|switched off|turned off"),
    ("unavailable", 1, r"(?:try|call) (?:your call )?again (?:later|during)|temporarily"),
    (
        "unavailable",
        1,
        (
            r"(?:office|store|shop|offices|clinic|practice) (?:is|are) (?:currently |now |"
            r"presently )?closed|our (?:office |business )?hours are"
        ),
    ),
    # What only people say on their phones; it outweighs as much of the others.
    (
        "person",
        2,
        r"(?:can|may|could|shall) i (?:help|take a message|ask|tell|get|have|give)|how (?:can|may) i (?:help|direct|assist)",
    ),
    (
        "person",
        2,
        (
            r"who(?:s| is|se) (?:this|calling|there|that|speaking)|who (?:am i|are you)|"
            r"what is this|whats this|what do you (?:want|need)"
        ),
    ),
    ("person", 2, r"(?:do you want|would you like|you want|want me|wanna) (?:me )?(?:to )?(?:leave|take|call|pass)"),
    (
        "person",
        2,
        r"(?:is|are) (?:this|that|you) (?:a |an |the |my )?(?:robot|recording|machine|voice ?mail|real|spam|scam|computer)",
    ),
    (
        "person",
        2,
        (
            r"(?:can you|could you) (?:call|hear)|im (?:driving|in a meeting|at work|busy|listening)|"
            r"hold on|hang on|one (?:sec|moment|second)"
        ),
    ),
    ("person", 1, r"speaking$|this is (?:he|she|him|her)\b|^(?:yes|yeah|yep)\b|hello hello|stop calling"),
)
_TABLE: Final = tuple((kind, weight, re.compile(pattern)) for kind, weight, pattern in PHRASES)
_CHOICE: Final = re.compile(rf"(?:press|dial|say) {_DIGIT}\b")
_TONE: Final = re.compile(r"(?:tone|beep|signal)\b")
_ASSISTANT: Final = re.compile(
    r"(?:virtual|automated|digital) (?:assistant|agent|attendant|receptionist)|you can say things like"
)
_MACHINES: Final[Mapping[Kind, AnsweredBy]] = {
    "blocked": "machine_unavailable",
    "screening": "screening",
    "menu": "machine_ivr",
    "voicemail": "machine_vm",
    "unavailable": "machine_unavailable",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What has been heard of the other side since it answered."""

    text: str = ""
    speech_s: float = 0.0
    """How long somebody spoke, all together."""
    longest_s: float = 0.0
    """The longest stretch without a pause."""
    latest_s: float = 0.0
    """The latest one."""
    quiet_s: float = 0.0
    """Of the sound that arrived, since the last speech in it, or all of it where there was none; 0 while somebody speaks."""
    beep: bool = False
    music: bool = False
    elapsed_s: float = 0.0
    awaits_words: bool = False
    """Somebody spoke, and the words are not known yet."""


def judge(heard: Heard, *, silence_s: float, longest_s: float = LONGEST_S) -> AnsweredBy | None:
    """Who it is; None as long as more has to be heard.

    After `silence_s` without a word, and after `longest_s` in any case, it is uncertain.
    """
    if machine := machine_of(heard):
        return machine
    if heard.elapsed_s >= longest_s:
        return "uncertain"
    if _words_may_come(heard):
        return None
    if not heard.text:
        return _without_words(heard, silence_s=silence_s)
    return _person(heard)


def promises_tone(text: str) -> bool:
    """Whether a greeting says that a tone follows it."""
    return bool(_TONE.search(plain(text)))


def plain(text: str) -> str:
    """Small letters and digits only, so that recognisers' spellings are alike."""
    small = text.casefold().replace("ü", "u").replace("ó", "o").replace("é", "e").replace("è", "e").replace("ñ", "n")
    return " ".join(re.sub(r"[^\w\s]", " ", re.sub(r"['’]", "", small)).split())


def scores(text: str) -> dict[Kind, int]:
    """How much the words speak for each kind; what a person would say is taken off the others."""
    said = plain(text)
    found: dict[Kind, int] = {}
    for kind, weight, pattern in _TABLE:
        if pattern.search(said):
            found[kind] = found.get(kind, 0) + weight
    person = 0 if _ASSISTANT.search(said) else found.pop("person", 0)
    found.pop("person", None)
    return {**{kind: score - person for kind, score in found.items()}, **({"person": person} if person else {})}


def machine_of(heard: Heard) -> AnsweredBy | None:
    """The machine it certainly is; None for a person and where nobody can tell."""
    found = scores(heard.text)
    certain = {kind for kind, score in found.items() if kind != "person" and score >= _ENOUGH}
    if "blocked" in certain or "screening" in certain:
        return _MACHINES["blocked" if "blocked" in certain else "screening"]
    if heard.beep and (heard.text or heard.speech_s > 1 or heard.quiet_s >= _LONE_BEEP_S):
        return "machine_vm"
    if "menu" in certain and (len(_CHOICE.findall(plain(heard.text))) > 1 or not _is_mailbox(heard.text, certain)):
        return "machine_ivr"
    if "voicemail" in certain:
        return "machine_vm"
    # A mailbox may follow.
    if "unavailable" in certain and heard.quiet_s >= _AFTER_DOUBT_S:
        return "machine_unavailable"
    return None


def _is_mailbox(text: str, certain: Collection[Kind]) -> bool:
    return "voicemail" in certain or promises_tone(text)


def _without_words(heard: Heard, *, silence_s: float) -> AnsweredBy | None:
    if heard.speech_s > 0:
        # As short as a hello that was not understood: whoever said it waits for an answer.
        patience = min(silence_s, _AFTER_BRIEF_S) if heard.speech_s <= _BRIEF_S else silence_s
        return "uncertain" if heard.quiet_s >= max(patience, _WITHOUT_WORDS_S) else None
    return "uncertain" if heard.quiet_s >= silence_s else None


def _words_may_come(heard: Heard) -> bool:
    """A sound as short as a cough, after words, may be one: nobody is held back by it."""
    is_cough = bool(heard.text) and heard.latest_s <= _COUGH_S
    return heard.awaits_words and not is_cough and heard.quiet_s < _WORDS_COME_S


def _person(heard: Heard) -> AnsweredBy | None:
    found = scores(heard.text)
    doubt = sum(score for kind, score in found.items() if kind != "person" and score > 0)
    words = len(plain(heard.text).split())
    if doubt:
        return "uncertain" if heard.quiet_s >= _AFTER_DOUBT_S else None
    if found.get("person") or heard.text.rstrip().endswith("?") or words <= _HELLO_WORDS:
        wait = _AFTER_HELLO_S
    else:
        wait = _AFTER_WORDS_S if words <= _MANY_WORDS else _AFTER_MANY_WORDS_S
    return "human" if heard.quiet_s >= wait else None
