"""The document a call runs on."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from agents.errors import InvalidSettingsError
from agents.models import Agent, AgentVersion
from agents.pipeline import VersionSettings
from agents.services import compile_version, save_draft, start_draft
from agents.testing import TEST_SETTINGS
from agents.transfers import TransferPolicy
from tenants.models import Tenant

MakeAgent = Callable[..., Agent]


def digest(compiled: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(compiled, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def test_a_published_version_compiles_to_what_was_stored(make_agent: MakeAgent, scope: Tenant) -> None:
    agent = make_agent(name="Ava", tools={"take_message": {}, "end_call": {}})
    compiled = compile_version(agent.published_version)
    stored = agent.published_version.compiled
    assert compiled == {**stored, "transfer": TransferPolicy().model_dump(mode="json")}
    assert stored.keys() == {"schema", "agent", "version", "tenant", "settings", "default_variables", "tools"}
    assert compiled["agent"] == {"id": str(agent.pk), "name": "Ava"}
    assert compiled["tenant"] == {"id": str(scope.pk), "name": scope.name, "timezone": scope.timezone, "currency": "USD"}
    assert compiled["tools"] == [{"key": "end_call", "config": {}}, {"key": "take_message", "config": {}}]
    assert compiled["default_variables"] == ["agent_name", "business_name", "now", "time", "today", "weekday"]
    VersionSettings.model_validate(compiled["settings"])


def test_the_same_version_always_compiles_to_the_same_document(make_agent: MakeAgent) -> None:
    settings = {"facts": ["Öffnung: 9 Uhr", "価格: 90"], "turn_taking": {"min_endpointing_delay_s": 0.1, "vad_silence_s": 1}}
    agent = make_agent(published=False, settings=settings, tools={"take_message": {}, "end_call": {}})
    once = compile_version(agent.versions.get())
    for shuffled in (settings, dict(reversed(settings.items()))):
        draft = save_draft(agent=agent, settings={**shuffled, **TEST_SETTINGS}, tools={"end_call": {}, "take_message": {}})
        assert digest(compile_version(draft)) == digest(once)
        assert digest(compile_version(AgentVersion.objects.get())) == digest(once)


def test_a_draft_and_what_is_published_from_it_differ_in_the_state_alone(make_agent: MakeAgent) -> None:
    agent = make_agent()
    draft = start_draft(agent=agent)
    published, copied = compile_version(agent.published_version), compile_version(draft)
    assert {key for key in published if published[key] != copied[key]} == {"version"}


def test_a_tenant_that_moves_takes_its_published_agents_along(make_agent: MakeAgent, scope: Tenant) -> None:
    agent = make_agent()
    scope.timezone = "Asia/Tokyo"
    scope.save()
    version = AgentVersion.objects.get(pk=agent.published_version_id)
    assert compile_version(version)["tenant"]["timezone"] == "Asia/Tokyo"
    assert version.compiled["tenant"]["timezone"] == "UTC"


def test_a_draft_that_cannot_be_published_cannot_be_called(make_agent: MakeAgent) -> None:
    agent = make_agent(published=False, settings={"instructions": "{{ nobody }}"})
    with pytest.raises(InvalidSettingsError, match="nobody"):
        compile_version(agent.versions.get())


def test_compiling_a_published_version_costs_no_query_beyond_its_owners(
    make_agent: MakeAgent, django_assert_num_queries: Callable[[int], Any]
) -> None:
    make_agent()
    version = AgentVersion.objects.select_related("agent", "tenant").get()
    with django_assert_num_queries(0):
        compile_version(version)
