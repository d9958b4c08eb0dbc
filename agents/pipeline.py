"""The settings of an agent version: one schema that forms, validation, compilation and the worker share.

Each field carries what a form shows: title, help, unit (in `json_schema_extra`), range and default.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

SCHEMA_VERSION = 1
INSTRUCTIONS_MAX_CHARS = 40_000
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


def setting(default: Any, title: str, help_text: str, *, unit: str = "", widget: str = "", **limits: Any) -> Any:
    """A field with what its form shows."""
    extra: dict[str, Any] = {"unit": unit, "widget": widget}
    return Field(default, title=title, description=help_text, json_schema_extra=extra, **limits)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=False)


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


class Variable(Section):
    """A value given when the call is placed, usable in greeting and instructions."""

    name: str = setting(..., "Name", "Letters, digits and underscores, e.g. first_name.", pattern=r"^[a-z][a-z0-9_]{0,39}$")
    type: Literal["text", "number", "boolean"] = setting("text", "Type", "What the value must be.")
    required: bool = setting(False, "Required", "A call without it is refused.")
    default: str = setting("", "Default", "Used when the call gives none.", max_length=500)
    example: str = setting("", "Example", "Used in previews.", max_length=500)


class Brain(Section):
    """The language model."""

    provider: str = setting("local", "Provider", "Who runs the language model.")
    model: str = setting("default", "Model", "A model of this provider.")
    temperature: float = setting(
        0.0, "Temperature", "0 answers the same way each time; higher values vary more.", ge=0, le=2
    )
    max_output_tokens: int = setting(220, "Longest answer", "A reply is cut after this many tokens.", unit="tokens", ge=40, le=2000)
    fallback_provider: str = setting("", "Fallback provider", "Takes over when the first fails; empty for none.")
    fallback_model: str = setting("", "Fallback model", "A model of the fallback provider.")


class Hearing(Section):
    """Speech recognition."""

    provider: str = setting("local", "Provider", "Who turns speech into text.")
    model: str = setting("whisper-base", "Model", "A model of this provider.")
    language: str = setting("en", "Language", "What the caller speaks, as an ISO code, e.g. en, de, es.", pattern=r"^[a-z]{2}(-[A-Z]{2})?$")
    fallback_provider: str = setting("", "Fallback provider", "Takes over when the first fails; empty for none.")
    fallback_model: str = setting("", "Fallback model", "A model of the fallback provider.")


class Speaking(Section):
    """The agent's voice."""

    provider: str = setting("local", "Provider", "Who turns text into speech.")
    model: str = setting("piper", "Model", "A model of this provider.")
    voice: str = setting("joe", "Voice", "A voice of this provider.", max_length=80)
    speed: float = setting(1.0, "Speed", "1 is the voice's natural speed.", ge=0.5, le=2.0)
    fallback_provider: str = setting("", "Fallback provider", "Takes over when the first fails; empty for none.")
    fallback_model: str = setting("", "Fallback model", "A model of the fallback provider.")
    fallback_voice: str = setting("", "Fallback voice", "A voice of the fallback provider.")


class TurnTaking(Section):
    """When the agent decides that the caller has finished, and when it lets itself be interrupted."""

    min_endpointing_delay_s: float = setting(
        0.4, "Shortest wait after speech", "The agent answers no sooner than this after the caller stops.", unit="s", ge=0.1, le=3
    )
    max_endpointing_delay_s: float = setting(
        3.0, "Longest wait after speech", "Used while the caller seems to go on, e.g. inside a phone number.", unit="s", ge=0.3, le=10
    )
    vad_silence_s: float = setting(0.3, "Silence that ends speech", "Shorter pauses count as speech.", unit="s", ge=0.1, le=2)
    interruptible: bool = setting(True, "Caller can interrupt", "Off: the agent always finishes its sentence.")
    min_interruption_s: float = setting(
        0.5, "Shortest interruption", "Shorter sounds, e.g. a cough or mhm, do not stop the agent.", unit="s", ge=0.1, le=3
    )
    resume_after_false_interruption_s: float = setting(
        1.0, "Resume after a false interruption", "The agent goes on where it was when nothing was said.", unit="s", ge=0.3, le=5
    )

    @model_validator(mode="after")
    def _ordered(self) -> "TurnTaking":
        if self.min_endpointing_delay_s > self.max_endpointing_delay_s:
            raise ValueError("min_endpointing_delay_s: the shortest wait must not exceed the longest wait (max_endpointing_delay_s)")
        return self


class Limits(Section):
    """When a conversation is ended for its participants' sake."""

    silence_prompt_after_s: float = setting(
        8.0, "Ask after silence", "The agent asks whether the caller is still there.", unit="s", ge=3, le=60
    )
    silence_prompts: int = setting(2, "Times to ask", "After that many unanswered questions the call ends.", ge=0, le=5)
    silence_prompt: str = setting("Are you still there?", "Question after silence", "Spoken word for word.", max_length=200)
    max_duration_s: int = setting(900, "Longest call", "The call ends then, whatever is being said.", unit="s", ge=30, le=7200)
    duration_warning_s: int = setting(
        30, "Warning before the end", "Spoken this long before the longest call is reached.", unit="s", ge=0, le=600
    )


class VersionSettings(Section):
    """Everything a version fixes besides its name, tools and instructions' owner."""

    instructions: str = setting(
        "You are a friendly phone receptionist.",
        "Instructions",
        "What the agent is, knows how to do and must not do. Liquid variables work.",
        widget="textarea",
        max_length=INSTRUCTIONS_MAX_CHARS,
    )
    facts: tuple[Line, ...] = setting(
        (), "Facts", "One fact a line, e.g. 'Saturday: open 10 AM to 2 PM'. The agent answers from these only.", widget="lines", max_length=400
    )
    variables: tuple[Variable, ...] = setting((), "Variables", "Values a call brings along.", widget="table", max_length=50)
    opening: Opening = Field(default_factory=Opening, title="Opening")
    brain: Brain = Field(default_factory=Brain, title="Language model")
    hearing: Hearing = Field(default_factory=Hearing, title="Speech recognition")
    speaking: Speaking = Field(default_factory=Speaking, title="Voice")
    turn_taking: TurnTaking = Field(default_factory=TurnTaking, title="Turn-taking")
    limits: Limits = Field(default_factory=Limits, title="Limits")
    record: bool = setting(True, "Record calls", "Both sides in stereo: the caller left, the agent right.")
    apology: str = setting(
        "I am sorry, I am having technical trouble. Please call again later. Goodbye.",
        "Apology",
        "Spoken when the language model or the voice fails for good; the call ends after it.",
        max_length=300,
    )
