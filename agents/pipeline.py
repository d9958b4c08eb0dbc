"""The settings of an agent version: one schema that forms, validation, compilation and the worker share.

Each field carries what a form shows: title, help, unit and widget (in `json_schema_extra`), range and default.
Strings are stored as a form would send them: stripped, with plain newlines, and only multi-line fields keep newlines.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from agents.sections import Section, setting
from agents.transfers import BACK_SENTENCE, HOLD_SENTENCE

SCHEMA_VERSION = 1
INSTRUCTIONS_MAX_CHARS = 40_000
TEMPLATE_FIELDS = ("instructions", "opening.greeting", "machines.voicemail_message", "machines.introduction")
"""The fields rendered as Liquid, with the variables of the call."""

Line = Annotated[str, StringConstraints(min_length=1, max_length=300)]
TargetId = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class Opening(Section):
    """How a conversation begins."""

    first_speaker: Literal["agent", "caller", "agent_after_silence"] = setting(
        "agent", "Who speaks first", "The agent greets at once, waits for the caller, or greets when the caller stays silent."
    )
    greeting_delay_s: float = setting(
        3.0, "Wait before greeting", "Used when the agent greets only if the caller stays silent.", unit="s", ge=0.5, le=15
    )
    greeting: str = setting(
        "Hello, how can I help you?",
        "Greeting",
        "Spoken first, word for word. Liquid variables work, e.g. Hello {{ first_name }}.",
        widget="textarea",
        max_length=600,
    )
    greeting_interruptible: bool = setting(True, "Greeting can be interrupted", "Off: the caller hears the greeting to its end.")

    @field_validator("greeting")
    @classmethod
    def _greets_when_first(cls, greeting: str, info: ValidationInfo) -> str:
        if not greeting and info.data.get("first_speaker") != "caller":
            raise ValueError("write a greeting, or let the caller speak first")
        return greeting


class Variable(Section):
    """A value given when the call is placed, usable in greeting and instructions."""

    name: str = setting(
        ..., "Name", "Small letters, digits and underscores, e.g. first_name.", max_length=40, pattern=r"^[a-z][a-z0-9_]*$"
    )
    type: Literal["text", "number", "boolean"] = setting("text", "Type", "What the value must be.")
    required: bool = setting(False, "Required", "A call without it is refused.")
    default: str = setting("", "Default", "Used when the call gives none.", max_length=500)
    example: str = setting("", "Example", "Used in previews.", max_length=500)


class Brain(Section):
    """Who writes the agent's answers, and who takes over when that fails."""

    provider: str = setting("local", "Provider", "Who runs the language model.", max_length=40)
    model: str = setting("default", "Model", "A model of this provider.", max_length=80)
    temperature: float = setting(0.0, "Temperature", "0 answers the same way each time; higher values vary more.", ge=0, le=2)
    max_output_tokens: int = setting(
        220, "Longest answer", "A reply is cut after this many tokens.", unit="tokens", ge=40, le=2000
    )
    fallback_provider: str = setting("", "Fallback provider", "Takes over when the first fails; empty for none.", max_length=40)
    fallback_model: str = setting("", "Fallback model", "A model of the fallback provider.", max_length=80)


class Hearing(Section):
    """Who turns what callers say into text."""

    provider: str = setting("local", "Provider", "Who turns speech into text.", max_length=40)
    model: str = setting("whisper-base", "Model", "A model of this provider.", max_length=80)
    language: str = setting(
        "en",
        "Language",
        "What the caller speaks, as an ISO code, e.g. en, de, es or en-GB.",
        max_length=5,
        pattern=r"^[a-z]{2}(-[A-Z]{2})?$",
    )
    fallback_provider: str = setting("", "Fallback provider", "Takes over when the first fails; empty for none.", max_length=40)
    fallback_model: str = setting("", "Fallback model", "A model of the fallback provider.", max_length=80)


class Speaking(Section):
    """What callers hear."""

    provider: str = setting("local", "Provider", "Who turns text into speech.", max_length=40)
    model: str = setting("piper", "Model", "A model of this provider.", max_length=80)
    voice: str = setting("joe", "Voice", "A voice of this provider.", widget="suggest", max_length=80)
    speed: float = setting(1.0, "Speed", "1 is the voice's natural speed.", ge=0.5, le=2.0)
    fallback_provider: str = setting("", "Fallback provider", "Takes over when the first fails; empty for none.", max_length=40)
    fallback_model: str = setting("", "Fallback model", "A model of the fallback provider.", max_length=80)
    fallback_voice: str = setting("", "Fallback voice", "A voice of the fallback provider.", widget="suggest", max_length=80)


class TurnTaking(Section):
    """When the agent decides that the caller has finished, and when it lets itself be interrupted."""

    min_endpointing_delay_s: float = setting(
        0.4, "Shortest wait after speech", "The agent answers no sooner than this after the caller stops.", unit="s", ge=0.1, le=3
    )
    max_endpointing_delay_s: float = setting(
        3.0,
        "Longest wait after speech",
        "Used while the caller seems to go on, e.g. inside a phone number.",
        unit="s",
        ge=0.3,
        le=10,
    )
    vad_silence_s: float = setting(0.3, "Silence that ends speech", "Shorter pauses count as speech.", unit="s", ge=0.1, le=2)
    interruptible: bool = setting(True, "Caller can interrupt", "Off: the agent always finishes its sentence.")
    min_interruption_s: float = setting(
        0.4, "Shortest interruption", "Shorter sounds, e.g. a cough or mhm, do not stop the agent.", unit="s", ge=0.1, le=3
    )
    resume_after_false_interruption_s: float = setting(
        1.0, "Resume after a false interruption", "The agent goes on where it was when nothing was said.", unit="s", ge=0.3, le=5
    )

    @field_validator("max_endpointing_delay_s")
    @classmethod
    def _not_below_the_shortest(cls, longest: float, info: ValidationInfo) -> float:
        shortest = info.data.get("min_endpointing_delay_s", longest)
        if longest < shortest:
            raise ValueError(f"must not be less than the shortest wait ({shortest:g} s)")
        return longest


class Limits(Section):
    """When a conversation is ended for its participants' sake."""

    silence_prompt_after_s: float = setting(
        8.0, "Ask after silence", "The agent asks whether the caller is still there.", unit="s", ge=3, le=60
    )
    silence_prompts: int = setting(2, "Times to ask", "After that many unanswered questions the call ends.", ge=0, le=5)
    silence_prompt: str = setting(
        "Are you still there?", "Question after silence", "Spoken word for word.", min_length=1, max_length=200
    )
    max_duration_s: int = setting(900, "Longest call", "The call ends then, whatever is being said.", unit="s", ge=30, le=7200)
    duration_warning_s: int = setting(
        30, "Warning before the end", "Spoken this long before the longest call is reached; 0 for none.", unit="s", ge=0, le=600
    )

    @field_validator("duration_warning_s")
    @classmethod
    def _within_the_call(cls, warning: int, info: ValidationInfo) -> int:
        longest = info.data.get("max_duration_s", warning + 1)
        if warning >= longest:
            raise ValueError(f"must be less than the longest call ({longest} s)")
        return warning


class Machines(Section):
    """What the agent does when it calls somebody and a machine answers."""

    silence_after_answer_s: float = setting(
        3.0,
        "Wait for a greeting",
        "In calls to somebody, the agent lets whoever answers speak first, and begins anyway after this long without a word.",
        unit="s",
        ge=1,
        le=15,
    )
    on_voicemail: Literal["hang_up", "leave_message", "continue"] = setting(
        "hang_up",
        "When a mailbox answers",
        "Hang up, leave the message below after the tone, or go on as with a person.",
    )
    voicemail_message: str = setting(
        "Hello, this is {{ agent_name }} from {{ business_name }}. I am sorry that I missed you. We will call again. Goodbye.",
        "Message for the mailbox",
        "Spoken once after the tone, word for word. Liquid variables work.",
        widget="textarea",
        max_length=1000,
    )
    on_menu: Literal["hang_up", "continue"] = setting(
        "hang_up",
        "When a menu answers",
        "Hang up, or go on: the agent hears the choices, and can press keys when it has the tool for that.",
    )
    on_screening: Literal["introduce", "hang_up"] = setting(
        "introduce",
        "When somebody's phone asks who is calling",
        "Say the introduction below and go on as with a person, or hang up.",
    )
    introduction: str = setting(
        "This is {{ agent_name }}, an assistant calling from {{ business_name }}.",
        "Introduction",
        "One sentence that says who is calling and why. Liquid variables work.",
        widget="textarea",
        max_length=300,
    )

    @field_validator("voicemail_message")
    @classmethod
    def _says_something(cls, message: str, info: ValidationInfo) -> str:
        if not message.strip() and info.data.get("on_voicemail") == "leave_message":
            raise ValueError("write a message, or choose something else for mailboxes")
        return message

    @field_validator("introduction")
    @classmethod
    def _introduces(cls, introduction: str, info: ValidationInfo) -> str:
        if not introduction.strip() and info.data.get("on_screening") == "introduce":
            raise ValueError("write an introduction, or hang up on phones that ask who is calling")
        return introduction


class Digits(Section):
    """What becomes of the keys a caller presses."""

    hide_digits: bool = setting(
        True,
        "Hide pressed keys",
        "The agent gets them. Transcripts, tools, messages, webhooks and logs show dots instead, also where the agent repeats "
        "them, e.g. for a PIN; it is told not to say them, which a recording would keep.",
    )
    hide_from: int = setting(
        4,
        "Hide from this many",
        "Fewer keys pressed in a row are shown, e.g. the choice of a menu. One or two digits are hidden where they were pressed.",
        unit="digits",
        ge=1,
        le=32,
    )


class Recording(Section):
    """Whether a call is recorded, and from when on."""

    mode: Literal["off", "on", "after_consent"] = setting(
        "on",
        "Record calls",
        "Both sides in stereo: the caller left, the agent right. After consent: the question below is asked first, and "
        "nothing is recorded before a clear yes.",
    )
    consent_question: str = setting(
        "We would like to record this call to improve our service. Is that all right with you?",
        "Question for consent",
        "Spoken after the greeting, word for word. Ask so that a yes agrees.",
        widget="textarea",
        max_length=300,
    )
    pause_at_most_s: int = setting(
        180,
        "Longest pause",
        "A pause made by a tool, e.g. for a card number, ends by itself after this long.",
        unit="s",
        ge=10,
        le=900,
    )

    keep_days: int = setting(
        0,
        "Keep recordings for",
        "Deleted after that; 0 keeps them as long as the tenant's Features say.",
        unit="days",
        ge=0,
        le=3650,
    )

    @field_validator("consent_question")
    @classmethod
    def _asks_something(cls, question: str, info: ValidationInfo) -> str:
        if not question.strip() and info.data.get("mode") == "after_consent":
            raise ValueError("write a question, or record without one")
        return question


class Transfer(Section):
    """Whom the agent may hand a call to, and what the caller meets with meanwhile."""

    targets: tuple[TargetId, ...] = setting(
        (),
        "Targets",
        "Who may get the caller, by the ids of transfer targets (tgt_…). The tool Hand over to a person needs at least one.",
        max_length=20,
    )
    hold_sentence: str = setting(
        HOLD_SENTENCE, "Sentence before waiting", "Spoken to the caller, word for word; empty for none.", max_length=300
    )
    hold_sound: bool = setting(True, "Sound while waiting", "The caller hears a sound until somebody is there.")
    back_sentence: str = setting(
        BACK_SENTENCE,
        "Sentence when nobody takes it",
        "Spoken, word for word, to a caller who has waited; then the agent goes on. Empty for none.",
        max_length=300,
    )
    summary: bool = setting(
        True, "Tell the person what it is about", "Whoever takes over hears one or two sentences before they have the caller."
    )
    max_hold_s: int = setting(
        120, "Longest wait", "Then the caller is back with the agent, whoever is being called.", unit="s", ge=15, le=600
    )

    @field_validator("targets")
    @classmethod
    def _once_each(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(targets)) < len(targets):
            raise ValueError("name each target once")
        return targets


def upgraded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they were once stored, in today's shape: versions never change after they were published."""
    current = dict(settings)
    if isinstance(record := current.get("record"), bool):
        del current["record"]
        current.setdefault("recording", {"mode": "on" if record else "off"})
    return current


class VersionSettings(Section):
    """Everything a version fixes besides its tools."""

    instructions: str = setting(
        "You are a friendly phone receptionist.",
        "Instructions",
        "What the agent is, knows how to do and must not do. Liquid variables work.",
        widget="textarea",
        min_length=1,
        max_length=INSTRUCTIONS_MAX_CHARS,
    )
    facts: tuple[Line, ...] = setting(
        (),
        "Facts",
        "One fact a line, e.g. 'Saturday: open 10 AM to 2 PM'. The agent answers from these only.",
        widget="lines",
        max_length=400,
    )
    variables: tuple[Variable, ...] = setting((), "Variables", "Values a call brings along.", widget="table", max_length=50)
    opening: Opening = Field(default_factory=Opening, title="Opening")
    brain: Brain = Field(default_factory=Brain, title="Language model")
    hearing: Hearing = Field(default_factory=Hearing, title="Speech recognition")
    speaking: Speaking = Field(default_factory=Speaking, title="Voice")
    turn_taking: TurnTaking = Field(default_factory=TurnTaking, title="Turn-taking")
    limits: Limits = Field(default_factory=Limits, title="Limits")
    machines: Machines = Field(default_factory=Machines, title="When a machine answers")
    digits: Digits = Field(default_factory=Digits, title="Digits")
    recording: Recording = Field(default_factory=Recording, title="Recording")
    transfer: Transfer = Field(default_factory=Transfer, title="Handing over")
    kept: Literal["everything", "no_recording", "no_content"] = setting(
        "everything",
        "What is kept of calls",
        "Everything, all but the recording, or nothing of what is said: no recording, no words in transcripts, tools or "
        "logs, and no messages for the team. The stricter of this and the tenant's Features counts.",
    )
    apology: str = setting(
        "I am sorry, I am having technical trouble. Please call again later. Goodbye.",
        "Apology",
        "Spoken when the language model or the voice fails for good; the call ends after it.",
        min_length=1,
        max_length=300,
    )
    hand_back: str = setting(
        "You are talking to the assistant again. How can I help you?",
        "After a supervisor",
        "Spoken when a person of the staff who had taken over the call has left it, and the agent goes on.",
        min_length=1,
        max_length=300,
    )

    @model_validator(mode="before")
    @classmethod
    def _in_todays_shape(cls, settings: Any) -> Any:
        return upgraded(settings) if isinstance(settings, Mapping) else settings
