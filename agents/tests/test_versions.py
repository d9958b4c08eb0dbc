"""A version's way from draft to published."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction

from agents.errors import DraftExistsError, InvalidSettingsError, NoDraftError
from agents.models import Agent, AgentVersion
from agents.services import publish, save_draft, start_draft
from agents.testing import TEST_SETTINGS
from tenants.models import AuditEvent, OutboxEvent, User

MakeAgent = Callable[..., Agent]


def test_publishing_fixes_the_draft_and_tells(make_agent: MakeAgent, make_user: Callable[..., User]) -> None:
    agent, user = make_agent(published=False), make_user()
    version = publish(agent=agent, actor=user)
    agent.refresh_from_db()
    assert agent.published_version == version
    assert (version.state, version.published_by, version.compiled["version"]["state"]) == ("published", user, "published")
    event = OutboxEvent.objects.get(topic="agent.published")
    assert (event.object_id, event.data) == (agent.pk, {"version_id": str(version.pk), "number": 1})
    noted = AuditEvent.objects.get(action="agent.published")
    assert (noted.target_id, noted.actor_id, noted.data) == (agent.pk, user.pk, {"version": str(version.pk)})


def test_a_draft_that_cannot_be_compiled_is_not_published(make_agent: MakeAgent) -> None:
    agent = make_agent(
        published=False, settings={"instructions": "Greet {{ first_nam }}.", "variables": [{"name": "first_name"}]}
    )
    with pytest.raises(InvalidSettingsError) as caught:
        publish(agent=agent)
    message = caught.value.errors["instructions"]
    known = "agent_name, business_name, first_name, now, time, today, weekday"
    assert message.startswith(f"'first_nam' is not a known variable. Known: {known}.\nLine 1, column 10:\n")
    assert message.endswith("1 | Greet {{ first_nam }}.\n  |          ^^^^^^^^^")
    agent.refresh_from_db()
    assert (agent.published_version, agent.versions.get().state) == (None, "draft")
    assert not OutboxEvent.objects.exists()
    assert not AuditEvent.objects.filter(action="agent.published").exists()


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ nobody }}", "'nobody' is not a known variable."),
        ("{{ age", "expected '}}'"),
        ("{{ age | divided_by: 0 }}", "can't divide by 0"),
        ("{{ age | shout }}", "unknown filter 'shout'"),
        ("{% include 'x' %}", "unexpected tag 'include'"),
        ("{{ name.first }}", "name.first is undefined"),
        ("{% for i in (1..9999999) %}x{% endfor %}", "loop iteration limit reached"),
    ],
)
def test_a_template_that_cannot_work_is_refused_at_publish(make_agent: MakeAgent, template: str, message: str) -> None:
    variables = [{"name": "age", "type": "number"}, {"name": "name"}]
    agent = make_agent(published=False, settings={"opening": {"greeting": f"Hi {template}"}, "variables": variables})
    with pytest.raises(InvalidSettingsError) as caught:
        publish(agent=agent)
    assert message in caught.value.errors["opening.greeting"]


def test_what_machines_hear_is_checked_like_the_greeting(make_agent: MakeAgent) -> None:
    machines = {"voicemail_message": "For {{ nobody }}", "introduction": "I am {{ agent_name | shout }}"}
    with pytest.raises(InvalidSettingsError) as caught:
        publish(agent=make_agent(published=False, settings={"machines": machines}))
    assert "nobody" in caught.value.errors["machines.voicemail_message"]
    assert "unknown filter 'shout'" in caught.value.errors["machines.introduction"]


def test_the_draft_of_a_retired_model_is_refused_at_publish(make_agent: MakeAgent) -> None:
    agent = make_agent(published=False)
    agent.versions.update(settings={**TEST_SETTINGS, "brain": {"provider": "openai", "model": "retired"}})
    with pytest.raises(InvalidSettingsError) as caught:
        publish(agent=agent)
    assert list(caught.value.errors) == ["brain.model"]


def test_a_published_version_takes_no_changes(make_agent: MakeAgent) -> None:
    agent = make_agent()
    before = AgentVersion.objects.values().get()
    with pytest.raises(NoDraftError, match=r"Version 1 of .* is published and cannot change\. Start a draft first\."):
        save_draft(agent=agent, settings=TEST_SETTINGS, tools={})
    with pytest.raises(NoDraftError):
        publish(agent=agent)
    assert AgentVersion.objects.values().get() == before


def test_there_is_one_draft_at_most(make_agent: MakeAgent) -> None:
    agent = make_agent()
    draft = start_draft(agent=agent)
    with pytest.raises(DraftExistsError, match="version 2"):
        start_draft(agent=agent)
    with pytest.raises(IntegrityError, match="agentversion_one_draft"), transaction.atomic():
        AgentVersion.objects.create(agent=agent, number=3)
    assert agent.versions.drafts().get() == draft


def test_a_draft_starts_as_a_copy_and_leaves_the_published_version_alone(make_agent: MakeAgent) -> None:
    agent = make_agent(settings={"instructions": "First"}, tools={"end_call": {}, "take_message": {}})
    start_draft(agent=agent)
    draft = save_draft(agent=agent, settings={**TEST_SETTINGS, "instructions": "Second"}, tools={"end_call": {}}, note="Shorter")
    agent.refresh_from_db()
    assert agent.published_version.settings["instructions"] == "First"
    assert [tool["key"] for tool in agent.published_version.compiled["tools"]] == ["end_call", "take_message"]
    assert (draft.number, draft.note, draft.settings["instructions"]) == (2, "Shorter", "Second")
    assert publish(agent=agent).compiled["settings"]["instructions"] == "Second"


def test_an_older_version_can_come_back(make_agent: MakeAgent) -> None:
    agent = make_agent(settings={"instructions": "First"})
    first = agent.published_version
    start_draft(agent=agent)
    save_draft(agent=agent, settings={**TEST_SETTINGS, "instructions": "Second"}, tools={})
    publish(agent=agent)
    start_draft(agent=agent, version=first)
    third = publish(agent=agent)
    assert (third.number, third.settings["instructions"]) == (3, "First")
    assert [grant.key for grant in third.grants.all()] == ["end_call"]


def test_the_audit_names_what_was_changed(make_agent: MakeAgent) -> None:
    agent = make_agent(published=False)
    changed = {**TEST_SETTINGS, "instructions": "Be kind.", "brain": {**TEST_SETTINGS["brain"], "temperature": 0.3}}
    save_draft(agent=agent, settings=changed, tools={"end_call": {}})
    save_draft(agent=agent, settings=changed, tools={})
    save_draft(agent=agent, settings=changed, tools={})
    noted = AuditEvent.objects.filter(action="agent.draft_saved").order_by("at")
    assert [event.fields for event in noted][1:] == [["instructions", "brain"], ["tools"], []]


def test_an_invalid_draft_is_not_saved(make_agent: MakeAgent) -> None:
    agent = make_agent(published=False)
    before = agent.versions.get()
    for settings, tools in (({"brain": {"model": "huge"}}, {}), (TEST_SETTINGS, {"fly": {}})):
        with pytest.raises(InvalidSettingsError):
            save_draft(agent=agent, settings=settings, tools=tools)
    after = agent.versions.get()
    assert (after.settings, after.updated_at) == (before.settings, before.updated_at)
    assert [grant.key for grant in after.grants.all()] == ["end_call"]
