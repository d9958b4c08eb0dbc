"""What can be saved: every limit of the schema, and what the catalogues know."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from agents.errors import InvalidSettingsError
from agents.pipeline import INSTRUCTIONS_MAX_CHARS, VersionSettings
from agents.services.validating import validate_settings, validate_tools


def limit(info: Any, name: str) -> Any:
    return next((getattr(meta, name) for meta in info.metadata if getattr(meta, name, None) is not None), None)


def out_of_limits(model: type[BaseModel] = VersionSettings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """For every field of the schema, one value beyond each of its limits."""
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from out_of_limits(kind, f"{prefix}{name}.")
            continue
        if (least := limit(info, "ge")) is not None:
            yield prefix + name, least - 1
        if (most := limit(info, "le")) is not None:
            yield prefix + name, most + 1
        if (longest := limit(info, "max_length")) is not None and kind is str:
            yield prefix + name, "x" * (longest + 1)
        if kind in (int, float):
            yield from ((prefix + name, wrong) for wrong in ("many", float("nan"), float("inf"), None))
        elif kind is bool:
            yield from ((prefix + name, wrong) for wrong in ("maybe", 7))
        elif kind is str:
            yield from ((prefix + name, wrong) for wrong in ("a\x00b", 5))
        else:
            yield prefix + name, "sideways"


def nested(dotted: str, value: Any) -> dict[str, Any]:
    for part in reversed(dotted.split(".")):
        value = {part: value}
    return dict(value)


def refused(settings: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidSettingsError) as caught:
        validate_settings(settings)
    return caught.value.errors


@pytest.mark.parametrize(("field", "value"), out_of_limits())
def test_a_value_beyond_a_limit_is_refused_with_its_field(field: str, value: Any) -> None:
    errors = refused(nested(field, value))
    assert field in errors
    assert errors[field].endswith(".")


def test_the_walk_over_the_schema_finds_its_limits() -> None:
    cases = list(out_of_limits())
    assert len(cases) > 100
    assert ("brain.temperature", 3.0) in cases


def test_the_defaults_are_valid_and_complete() -> None:
    settings = validate_settings({})
    assert settings == VersionSettings()
    assert validate_settings(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("settings", "field", "message"),
    [
        (
            {"turn_taking": {"min_endpointing_delay_s": 2, "max_endpointing_delay_s": 1.5}},
            "turn_taking.max_endpointing_delay_s",
            "Must not be less than the shortest wait (2 s).",
        ),
        (
            {"turn_taking": {"min_endpointing_delay_s": 2.9, "max_endpointing_delay_s": 2.8}},
            "turn_taking.max_endpointing_delay_s",
            "Must not be less than the shortest wait (2.9 s).",
        ),
        ({"brain": {"temperature": 2.1}}, "brain.temperature", "At most 2; this is 2.1."),
        ({"limits": {"max_duration_s": 30}}, "limits.duration_warning_s", "Must be less than the longest call (30 s)."),
        ({"opening": {"greeting": " "}}, "opening.greeting", "Write a greeting, or let the caller speak first."),
        (
            {"machines": {"on_voicemail": "leave_message", "voicemail_message": " \n"}},
            "machines.voicemail_message",
            "Write a message, or choose something else for mailboxes.",
        ),
        (
            {"machines": {"introduction": ""}},
            "machines.introduction",
            "Write an introduction, or hang up on phones that ask who is calling.",
        ),
        ({"machines": {"silence_after_answer_s": 0.5}}, "machines.silence_after_answer_s", "At least 1; this is 0.5."),
        ({"digits": {"hide_from": 0}}, "digits.hide_from", "At least 1; this is 0."),
        ({"instructions": "  \n "}, "instructions", "This must not be empty."),
        ({"opening": {"speed": 1}}, "opening.speed", "There is no such setting."),
        ({"facts": ["Open", "x" * 301]}, "facts.1", "At most 300 characters; this has 301."),
        ({"facts": ["x"] * 401}, "facts", "At most 400 entries; these are 401."),
        ({"variables": [{"name": "First"}]}, "variables.0.name", "'First' is not of the form this needs."),
        ({"variables": [{"name": "today"}]}, "variables.0.name", "'today' is filled by the platform; choose another name."),
        ({"variables": [{"name": "a"}, {"name": "a"}]}, "variables.1.name", "'a' is declared twice."),
        (
            {"variables": [{"name": "age", "type": "number", "default": "old"}]},
            "variables.0.default",
            "'old' is not a number.",
        ),
        ({"hearing": {"language": "xx"}}, "hearing.language", "On this machine does not know 'xx'. Known: af, am,"),
    ],
)
def test_a_refusal_says_what_is_wrong(settings: dict[str, Any], field: str, message: str) -> None:
    errors = refused(settings)
    assert list(errors) == [field]
    assert errors[field].startswith(message)


def test_a_hundred_kilobytes_of_instructions_are_refused_with_the_limit() -> None:
    errors = refused({"instructions": "ü" * 102_400})
    assert errors == {"instructions": "At most 40,000 characters; this has 102,400."}
    assert len(validate_settings({"instructions": "ü" * INSTRUCTIONS_MAX_CHARS}).instructions) == 40_000


@pytest.mark.parametrize("section", ["brain", "hearing", "speaking"])
@pytest.mark.parametrize("prefix", ["", "fallback_"])
def test_an_unknown_provider_is_refused_with_the_known_ones(section: str, prefix: str) -> None:
    chosen = {f"{prefix}provider": "acme", f"{prefix}model": "x"}
    errors = refused({section: chosen})
    assert errors[f"{section}.{prefix}provider"].startswith("There is no provider 'acme'. Known: local, google")


@pytest.mark.parametrize(
    ("section", "chosen", "field", "message"),
    [
        ("brain", {"provider": "openai"}, "model", "OpenAI has no model 'default'. Known: gpt-6-luna"),
        ("brain", {"model": "huge"}, "model", "On this machine has no model 'huge'. Known: default, small."),
        ("hearing", {"model": "chirp_3"}, "model", "On this machine has no model 'chirp_3'. Known: whisper-base."),
        ("speaking", {"voice": "nobody"}, "voice", "On this machine has no voice 'nobody'. Known: joe, robin."),
        ("speaking", {"voice": ""}, "voice", "On this machine has no voice ''. Known: joe, robin."),
        (
            "speaking",
            {"provider": "elevenlabs", "model": "eleven_flash_v2_5", "voice": "joe"},
            "voice",
            "ElevenLabs has no voice 'joe'. Expected a voice id such as",
        ),
        (
            "speaking",
            {"provider": "google", "model": "chirp3-hd", "voice": "en-US-Wavenet-A"},
            "voice",
            "Google Cloud Text-to-Speech has no voice 'en-US-Wavenet-A'. Known: en-US-Chirp3-HD-",
        ),
        ("brain", {"fallback_provider": "google"}, "fallback_model", "Google Gemini has no model ''. Known: gemini-3.8-flash"),
        ("brain", {"fallback_model": "small"}, "fallback_provider", "Choose the provider of the fallback model"),
        ("brain", {"fallback_provider": "local", "fallback_model": "default"}, "fallback_model", "The fallback is the same"),
        (
            "speaking",
            {"fallback_provider": "local", "fallback_model": "piper", "fallback_voice": "joe"},
            "fallback_voice",
            "The fallback is the same",
        ),
    ],
)
def test_what_the_catalogue_does_not_know_is_refused(section: str, chosen: dict[str, str], field: str, message: str) -> None:
    errors = refused({section: chosen})
    assert list(errors) == [f"{section}.{field}"]
    assert errors[f"{section}.{field}"].startswith(message)


@pytest.mark.parametrize(
    ("section", "chosen"),
    [
        ("speaking", {"provider": "elevenlabs", "model": "eleven_flash_v2_5", "voice": "21m00Tcm4TlvDq8ikWAM"}),
        ("speaking", {"provider": "google", "model": "chirp3-hd", "voice": "de-DE-Chirp3-HD-Kore"}),
        ("speaking", {"fallback_provider": "local", "fallback_model": "piper", "fallback_voice": "robin"}),
        (
            "brain",
            {"provider": "google", "model": "gemini-3.8-flash", "fallback_provider": "openai", "fallback_model": "gpt-6-luna"},
        ),
        ("hearing", {"provider": "google", "model": "chirp_3", "language": "de-CH"}),
        ("hearing", {"provider": "elevenlabs", "model": "scribe_v2_realtime", "language": "hi"}),
    ],
)
def test_what_the_catalogue_knows_is_accepted(section: str, chosen: dict[str, str]) -> None:
    kept = getattr(validate_settings({section: chosen}), section).model_dump()
    assert kept.items() >= chosen.items()


def test_several_mistakes_are_reported_together() -> None:
    errors = refused({"brain": {"model": "huge"}, "speaking": {"voice": "nobody"}, "variables": [{"name": "now"}]})
    assert list(errors) == ["variables.0.name", "brain.model", "speaking.voice"]


def test_text_is_stored_as_a_form_would_send_it() -> None:
    kept = validate_settings({"instructions": " a\r\nb\rc ", "apology": " Bye\nnow ", "facts": [" one\n1 "]})
    assert (kept.instructions, kept.apology, kept.facts) == ("a\nb\nc", "Bye now", ("one 1",))


def test_any_script_is_kept_as_it_is() -> None:
    words = "مرحبا — こんにちは — नमस्ते — Здравствуйте — 👩‍👩‍👧"
    kept = validate_settings({"instructions": words, "facts": [words], "opening": {"greeting": words}})
    assert (kept.instructions, kept.facts, kept.opening.greeting) == (words, (words,), words)


def test_the_test_provider_is_known_only_where_it_is_switched_on(settings: Any) -> None:
    chosen = {"brain": {"provider": "test", "model": "rules"}}
    assert validate_settings(chosen).brain.provider == "test"
    settings.VP_TEST_PROVIDERS = False
    assert list(refused(chosen)) == ["brain.provider"]


def test_tools_are_checked_against_the_catalogue() -> None:
    assert validate_tools({"take_message": {}, "end_call": {}}) == {"end_call": {}, "take_message": {}}
    with pytest.raises(InvalidSettingsError) as caught:
        validate_tools({"fly": {}, "end_call": {"loudly": True}})
    assert caught.value.errors == {
        "tools.end_call.loudly": "There is no such setting.",
        "tools.fly": "There is no tool 'fly'. Known: end_call, press_digits, take_message, pause_recording, resume_recording, "
        "hand_over_to_person.",
    }
