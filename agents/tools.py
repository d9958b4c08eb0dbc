"""The tools an agent may be granted, as data: what staff configure, what the model reads, what a call must allow.

`voice_worker/tools/<key>.py` holds what a tool does; a system check pairs the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from agents.transfers import TransferPolicy

Risk = Literal["harmless", "writes", "irreversible"]


class ToolConfig(BaseModel):
    """What staff set per grant; a tool without settings uses this class as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


@dataclass(frozen=True, slots=True)
class ToolExample:
    """One exchange that shows the local language model when to use the tool and what to fill in."""

    caller: str
    say: str
    slots: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool.

    `description` tells the model what the tool does, `guidance` how to use it in a conversation. The local model, being
    small, reads `when` and the examples instead; `early_example` shows a turn that gives only part of what the tool needs.
    It is offered the tool only where `cues`, a pattern, is found in what was said last; empty always offers it.
    `parameters` is the JSON Schema of the arguments; where those are keys to press (`presses_keys`), they are shown and
    hidden as a version's digits are. Without a `feature_key` every tenant may use it.
    One that `keeps_words` writes down what the caller said. A use may take `longest_s`.
    """

    key: str
    title: str
    description: str
    guidance: str
    parameters: Mapping[str, Any]
    risk: Risk
    when: str
    cues: str
    example: ToolExample
    early_example: ToolExample | None = None
    feature_key: str | None = None
    config_schema: type[BaseModel] = ToolConfig
    presses_keys: bool = False
    keeps_words: bool = False
    longest_s: float = 10.0


def _text(description: str, max_length: int) -> dict[str, Any]:
    return {"type": "string", "description": description, "minLength": 1, "maxLength": max_length}


def _arguments(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


END_CALL = ToolSpec(
    key="end_call",
    title="End the call",
    description="Hang up. Use it when the caller says goodbye or asks to end the call.",
    guidance="When the caller says goodbye or has nothing more to ask, say goodbye and end the call in the same turn.",
    parameters=_arguments(),
    risk="irreversible",
    when="only when the caller says goodbye.",
    cues=r"\b(bye|goodbye|hang up|see you|good night|have a (nice|good)|thank(s| you)|that's (all|it)|everything|nothing|no)\b",
    example=ToolExample(caller="Thanks, bye.", say="Goodbye!", slots={}),
)

PRESS_DIGITS = ToolSpec(
    key="press_digits",
    title="Press keys",
    description="Press keys of the phone, for example to choose from a menu or to dial an extension. Works in phone calls only.",
    guidance=(
        "When a recorded menu offers choices by number, press the key that fits what you are calling about, without saying "
        "anything. Press only keys that the menu has offered."
    ),
    parameters=_arguments(digits=_text("The keys in order: 0-9, * and #; w waits half a second.", 32)),
    risk="writes",
    when="when a recorded menu asks to press keys.",
    cues=r"\b(press|dial|enter|extension|pound|hash|star|menu|options?|keypad)\b",
    example=ToolExample(caller="For sales, press 1. For support, press 2.", say="One moment.", slots={"digits": "1"}),
    presses_keys=True,
)

TAKE_MESSAGE = ToolSpec(
    key="take_message",
    title="Take a message",
    description="Write down a message for the staff, with the caller's name, phone number and reason.",
    guidance=(
        "To take a message you need the caller's name, phone number and reason. Ask for what is missing, one thing at a time. "
        "Read the name and the number back. Never invent or complete a value the caller has not said."
    ),
    parameters=_arguments(
        caller_name=_text("The caller's name as they said it.", 80),
        phone=_text("The phone number to call back, digit for digit as the caller said it.", 40),
        reason=_text("Why they want to be called back, in a few words.", 300),
    ),
    risk="writes",
    when='when the caller wants to leave a message or to be called back. Copy what the caller said; "" for what is missing.',
    cues=r"\b(messages?|call|callback|tell|told|let|pass|leave|reach|contact|ring|note|get back|speak|talk|number)\b",
    example=ToolExample(
        caller="This is Sam Hill, 555 0100, please tell them that my car is ready.",
        say="Got it, Sam, 555 0100. I will pass on that your car is ready.",
        slots={"caller_name": "Sam Hill", "phone": "555 0100", "reason": "car is ready"},
    ),
    early_example=ToolExample(
        caller="Can somebody call me back about the bill?",
        say="Of course. May I have your name, please?",
        slots={"caller_name": "", "phone": "", "reason": "the bill"},
    ),
    feature_key="voice-agent-tool-take-message",
    keeps_words=True,
)

PAUSE_RECORDING = ToolSpec(
    key="pause_recording",
    title="Pause the recording",
    description="Pause the recording. What is said from now on is neither recorded nor written down.",
    guidance=(
        "Before the caller tells a card number or a code, pause the recording, then ask for it. "
        "When they have told it, resume the recording."
    ),
    parameters=_arguments(),
    risk="harmless",
    when="before the caller tells a card number.",
    cues=r"\b(card|credit|debit|visa|mastercard|amex|cvv|cvc|pay|payment|security code|pin|bank account)\b",
    example=ToolExample(caller="I would like to pay by card.", say="Of course. Please tell me the number.", slots={}),
)

RESUME_RECORDING = ToolSpec(
    key="resume_recording",
    title="Resume the recording",
    description="Go on recording after a pause.",
    guidance="Resume the recording as soon as nothing secret is being said any more.",
    parameters=_arguments(),
    risk="harmless",
    when="after the caller has told the card number.",
    cues=r"\d{3}|\b(card|cvv|cvc|code|number|that's (all|it)|done|thank(s| you))\b",
    example=ToolExample(caller="And the code is one two three.", say="Thank you, that is all I need.", slots={}),
)

OTHER_REASON: Final = "other"

HAND_OVER = ToolSpec(
    key="hand_over_to_person",
    title="Hand over to a person",
    description="Get a person who takes over the call. The caller waits meanwhile, and is told so by the platform.",
    guidance=(
        "When the caller asks for a person, or you cannot help them, hand the call over; say nothing about it before, for the "
        "platform does. If nobody takes it, say so plainly and offer what else you can do."
    ),
    parameters={
        "type": "object",
        "properties": {
            "reason": {
                "type": "string",
                "description": "Why.",
                "enum": ["asked_for_a_person", "cannot_help", "complaint", "emergency", OTHER_REASON],
            },
            "target": {"type": "string", "description": "Who is asked first; left out, the usual one."},
            "summary": _text("For the person, in one or two sentences: who is calling and what about.", 400),
        },
        "required": ["reason", "summary"],
        "additionalProperties": False,
    },
    risk="irreversible",
    when='when the caller asks for a person or cannot be helped. Say in summary what it is about; target "" for the usual one.',
    cues=r"\b(person|human|somebody|someone|real|agent|operator|speak|talk|transfer|connect|manager|complain|complaint|help)\b",
    example=ToolExample(
        caller="I want to talk to a real person, I have a question about my bill.",
        say="",
        slots={"reason": "asked_for_a_person", "target": "", "summary": "a question about my bill"},
    ),
)
_AROUND_HOLD_S = 60.0

TOOLS: Mapping[str, ToolSpec] = {
    spec.key: spec for spec in (END_CALL, PRESS_DIGITS, TAKE_MESSAGE, PAUSE_RECORDING, RESUME_RECORDING, HAND_OVER)
}


def offered(key: str, policy: TransferPolicy) -> ToolSpec:
    """The tool as a version with that policy has it: it hands over to that version's targets, by name, and to nobody else."""
    spec = TOOLS[key]
    if spec is not HAND_OVER:
        return spec
    told = "; ".join(f"{target.name}: {target.when}" for target in policy.targets if target.when)
    properties = dict(spec.parameters["properties"])
    described = " ".join(filter(None, [properties["target"]["description"], told]))
    properties["target"] = {**properties["target"], "description": described, "enum": [target.name for target in policy.targets]}
    return replace(spec, parameters={**spec.parameters, "properties": properties}, longest_s=policy.max_hold_s + _AROUND_HOLD_S)
