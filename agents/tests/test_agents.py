"""Agents come, are copied and archived."""

from collections.abc import Callable

import pytest

from agents.errors import ArchivedAgentError, InvalidSettingsError
from agents.models import Agent
from agents.services import archive_agent, compile_version, create_agent, duplicate_agent, publish, restore_agent, start_draft
from tenants.models import Tenant

MakeAgent = Callable[..., Agent]


def test_a_new_agent_has_a_first_draft(scope: Tenant) -> None:
    agent = create_agent(name=" Ava ", description="Front desk")
    draft = agent.versions.get()
    assert (agent.name, agent.published_version, draft.number, draft.state) == ("Ava", None, 1, "draft")
    assert [grant.key for grant in draft.grants.all()] == ["end_call"]
    assert compile_version(draft)["version"] == {"id": str(draft.pk), "number": 1, "state": "draft"}


@pytest.mark.parametrize(
    ("name", "message"), [("", "cannot be blank"), ("x" * 81, "at most 80 characters"), ("Ava", "Another agent")]
)
def test_a_bad_name_is_refused(scope: Tenant, name: str, message: str) -> None:
    create_agent(name="Ava")
    with pytest.raises(InvalidSettingsError) as caught:
        create_agent(name=name)
    assert message in caught.value.errors["name"]
    assert Agent.objects.count() == 1


def test_a_copy_is_a_new_agent_with_the_newest_settings(make_agent: MakeAgent) -> None:
    agent = make_agent(name="Ava", settings={"instructions": "Be kind."}, tools={"take_message": {}})
    copies = [duplicate_agent(agent=agent), duplicate_agent(agent=agent), duplicate_agent(agent=agent, name="Ben")]
    assert [copy.name for copy in copies] == ["Ava (copy)", "Ava (copy 2)", "Ben"]
    draft = copies[0].versions.get()
    assert (draft.number, draft.state, draft.settings) == (1, "draft", agent.published_version.settings)
    assert [grant.key for grant in draft.grants.all()] == ["take_message"]


def test_an_archived_agent_rests_until_it_is_restored(make_agent: MakeAgent) -> None:
    agent = make_agent(name="Ava")
    archive_agent(agent=agent)
    for change in (start_draft, publish, archive_agent):
        with pytest.raises(ArchivedAgentError, match=r"Ava is archived\. Restore it first\."):
            change(agent=agent)
    assert not Agent.objects.in_use().exists()
    restore_agent(agent=agent)
    assert Agent.objects.in_use().get() == agent
    assert start_draft(agent=agent).number == 2
