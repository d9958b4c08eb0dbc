"""The catalogues of providers and tools, and the check that pairs tools with their implementations."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from agents import catalogue, checks
from agents.catalogue import SECTIONS, STAGES, TEST_PROVIDERS
from agents.pipeline import VersionSettings
from agents.tools import HAND_OVER, TAKE_MESSAGE, TOOLS
from tenants.features import FEATURES

ENTRIES = [(stage, key, provider) for stage, known in STAGES.items() for key, provider in known.items()]


@pytest.mark.parametrize(("stage", "key", "provider"), ENTRIES)
def test_every_entry_can_be_chosen(stage: str, key: str, provider: catalogue.Provider) -> None:
    assert provider.models
    assert all(hasattr(django_settings, name) for name in provider.needs)
    assert (provider.voices is not None) == (stage == "tts")
    if provider.voice_pattern:
        assert re.fullmatch(provider.voice_pattern, provider.voice_example)
        assert all(re.fullmatch(provider.voice_pattern, voice) for voice in provider.voices or {})


def test_every_stage_runs_on_this_machine_and_has_a_test_provider() -> None:
    assert all("local" in known for known in STAGES.values())
    assert TEST_PROVIDERS.keys() == STAGES.keys() == SECTIONS.keys()


def test_what_is_missing_here_is_told(settings: Any) -> None:
    settings.GEMINI_API_KEY = ""
    assert STAGES["llm"]["google"].missing() == ["GEMINI_API_KEY"]
    settings.GEMINI_API_KEY = "key"
    assert STAGES["llm"]["google"].missing() == []


def test_form_choices_are_for_fields_of_the_schema(settings: Any) -> None:
    settings.OPENAI_API_KEY = settings.GEMINI_API_KEY = ""
    settings.VP_BRAIN_URL = "http://127.0.0.1:1/v1"
    settings.VP_TEST_PROVIDERS = False
    offers = {field: offer() for field, offer in catalogue.form_choices().items()}
    for field in offers:
        section, name = field.split(".")
        assert name in type(getattr(VersionSettings(), section)).model_fields
    assert offers["brain.provider"] == [
        ("local", "On this machine"),
        ("google", "Google Gemini (needs GEMINI_API_KEY)"),
        ("openai", "OpenAI (needs OPENAI_API_KEY)"),
    ]
    assert offers["brain.fallback_provider"][0] == ("", "none")
    assert ("On this machine", [("joe", "Joe (US English)"), ("robin", "Robin (US English)")]) in offers["speaking.voice"]


@pytest.mark.parametrize("key", TOOLS)
def test_every_tool_is_complete(key: str) -> None:
    spec = TOOLS[key]
    assert spec.key == key
    says = spec.example.say or spec is HAND_OVER  # the platform speaks for the agent
    assert all([spec.title, spec.description, spec.guidance, spec.example.caller, says])
    assert spec.feature_key is None or spec.feature_key in FEATURES
    properties = spec.parameters["properties"]
    assert spec.parameters["required"] == [name for name in properties if name in spec.parameters["required"]]
    for name, value in spec.example.slots.items():
        assert value in properties[name].get("enum", spec.example.caller)
        assert len(value) <= properties[name].get("maxLength", 40)


def test_a_tool_without_implementation_feature_or_example_is_reported(tmp_path: Path) -> None:
    (tmp_path / "take_message.py").write_text("raise RuntimeError('imported')")
    assert checks.check_tool(TAKE_MESSAGE, [str(tmp_path)]) == []
    broken = replace(TAKE_MESSAGE, key="fly", feature_key="voice-agent-tool-fly", parameters={"properties": {"where": {}}})
    problems = checks.check_tool(broken, [str(tmp_path)])
    assert [problem.id for problem in problems] == ["agents.E001", "agents.E002", "agents.E003"]
    assert problems[0].hint == "Write voice_worker/tools/fly.py."


def test_the_check_imports_nothing_of_the_voice_worker() -> None:
    program = (
        "import django; django.setup(); import sys; from agents.checks import check_tools; check_tools();"
        "print([name for name in sys.modules if name.startswith('voice_worker.tools') or name.startswith('livekit')])"
    )
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "voiceplatform.settings.worker"}
    result = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
