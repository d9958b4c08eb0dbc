"""Whom a version hands calls to: what can be published, and what calls are told."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError
from pydantic import ValidationError

from agents import testing as agents_testing
from agents.errors import InvalidSettingsError
from agents.models import Agent, TransferTarget
from agents.selectors import agents_using_target
from agents.services import compile_version, publish, save_draft, start_draft
from agents.testing import TEST_SETTINGS
from agents.tools import HAND_OVER, offered
from agents.transfers import Target, TransferPolicy
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voiceplatform.lib.ids import to_public_id, uuid7

TOOLS: dict[str, Any] = {"end_call": {}, HAND_OVER.key: {}}


def make_target(**fields: Any) -> TransferTarget:
    row: TransferTarget = TransferTarget.objects.create(**{"name": "Front desk", "phone": "+12125550123"} | fields)
    return row


def handing_to(*ids: str, **more: Any) -> dict[str, Any]:
    return {"settings": {"transfer": {"targets": list(ids), **more}}, "tools": TOOLS}


def refused(agent: Agent) -> dict[str, str]:
    with pytest.raises(InvalidSettingsError) as error:
        publish(agent=agent)
    return error.value.errors


def test_the_tool_without_a_target_is_not_published(make_agent: Callable[..., Agent]) -> None:
    told = refused(make_agent(published=False, **handing_to()))
    assert list(told) == ["transfer.targets"]
    assert "Hand over to a person" in told["transfer.targets"]
    assert "Choose one here, or take the tool away" in told["transfer.targets"]


def test_targets_that_are_off_or_gone_are_not_published(make_agent: Callable[..., Agent]) -> None:
    off, nobodys = make_target(enabled=False), to_public_id("tgt", uuid7())
    told = refused(make_agent(published=False, **handing_to(off.public_id, nobodys, "front-desk")))
    assert list(told) == ["transfer.targets.0", "transfer.targets.1", "transfer.targets.2"]
    assert "Front desk is switched off" in told["transfer.targets.0"]
    assert nobodys in told["transfer.targets.1"]


def test_another_tenants_target_is_like_one_that_does_not_exist(make_tenant: Callable[..., Tenant]) -> None:
    with tenant_scope(make_tenant()):
        theirs = make_target().public_id
    with tenant_scope(make_tenant()):
        agent = agents_testing.make_agent(published=False, **handing_to(theirs))
        assert refused(agent) == {"transfer.targets.0": f"There is no target {theirs!r}. Take it out, or choose another one."}


def test_calls_know_the_targets_as_they_are_today(make_agent: Callable[..., Agent]) -> None:
    desk, doctor = make_target(priority=200), make_target(name="Dr. Park", digits="12", hours=[], timezone="Asia/Tokyo")
    make_target(name="Nobody the version names", phone="+12125550125")
    agent = make_agent(**handing_to(desk.public_id, doctor.public_id, max_hold_s=60))
    Tenant.objects.update(timezone="America/Denver")
    TransferTarget.objects.filter(pk=doctor.pk).update(phone="+12125550124")
    policy = TransferPolicy.model_validate(compile_version(agent.published_version)["transfer"])
    assert [(target.name, target.phone) for target in policy.targets] == [
        ("Dr. Park", "+12125550124"),
        ("Front desk", desk.phone),
    ]
    assert (policy.max_hold_s, policy.targets[0].zone, policy.targets[1].zone) == (60, "Asia/Tokyo", "America/Denver")
    TransferTarget.objects.filter(pk=doctor.pk).update(enabled=False)
    assert [each["name"] for each in compile_version(agent.published_version)["transfer"]["targets"]] == ["Front desk"]
    assert "transfer" not in agent.published_version.compiled, "a published version keeps no telephone numbers"


def test_a_version_of_before_hands_over_to_nobody(make_agent: Callable[..., Agent]) -> None:
    version = make_agent().published_version
    del version.compiled["settings"]["transfer"]
    assert compile_version(version)["transfer"] == TransferPolicy().model_dump(mode="json")


def test_agents_use_a_target_by_their_draft_or_what_calls_get(make_agent: Callable[..., Agent]) -> None:
    desk = make_target()
    agent = make_agent(name="Ava", **handing_to(desk.public_id))
    make_agent(name="Ben", published=False, **handing_to(desk.public_id))
    make_agent(name="Cleo")
    assert [each.name for each in agents_using_target(desk)] == ["Ava", "Ben"]
    start_draft(agent=agent)
    save_draft(agent=agent, settings=TEST_SETTINGS, tools={})
    publish(agent=agent)
    assert [each.name for each in agents_using_target(desk)] == ["Ben"]


@pytest.mark.parametrize("seconds", [14, 601])
def test_callers_are_held_ten_minutes_at_most(make_agent: Callable[..., Agent], seconds: int) -> None:
    with pytest.raises(InvalidSettingsError) as told:
        make_agent(published=False, **handing_to(make_target().public_id, max_hold_s=seconds))
    assert list(told.value.errors) == ["transfer.max_hold_s"]
    with pytest.raises(ValidationError):
        TransferPolicy(max_hold_s=seconds)


def test_a_phone_is_stored_as_the_network_writes_it(scope: Tenant) -> None:
    with pytest.raises(IntegrityError):
        make_target(phone="(212) 555-0123")


def test_a_target_is_named_once(make_agent: Callable[..., Agent]) -> None:
    desk = make_target().public_id
    with pytest.raises(InvalidSettingsError, match="once"):
        make_agent(published=False, **handing_to(desk, desk))


def test_the_model_chooses_among_names_and_has_no_field_for_a_number() -> None:
    policy = TransferPolicy(targets=[Target(id="tgt_1", name="Front desk", phone="+12125550123", when="Bills.")], max_hold_s=30)
    spec = offered(HAND_OVER.key, policy)
    assert spec.parameters["properties"]["target"]["enum"] == ["Front desk"]
    assert "Front desk: Bills." in spec.parameters["properties"]["target"]["description"]
    assert set(spec.parameters["properties"]) == {"reason", "target", "summary"}
    assert "+1212" not in str(spec)
    assert spec.longest_s > policy.max_hold_s
    assert offered("end_call", policy) is not spec
