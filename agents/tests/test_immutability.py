"""What the database itself refuses, whoever asks."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from agents.models import Agent, AgentVersion, ToolGrant
from agents.services import publish, start_draft
from agents.testing import make_agent as new_agent
from tenants.models import Tenant
from tenants.scope import tenant_scope

MakeAgent = Callable[..., Agent]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE agents_agentversion SET note = 'changed'",
        "UPDATE agents_agentversion SET settings = '{}'",
        "UPDATE agents_agentversion SET state = 'draft', compiled = NULL, published_at = NULL, published_by_id = NULL",
        "DELETE FROM agents_agentversion",
        "UPDATE agents_toolgrant SET config = '{\"a\": 1}'",
        "DELETE FROM agents_toolgrant",
        "INSERT INTO agents_toolgrant SELECT gen_random_uuid(), 'fly', '{}', tenant_id, version_id FROM agents_toolgrant",
    ],
)
def test_the_database_refuses_to_change_what_is_published(make_agent: MakeAgent, statement: str) -> None:
    make_agent()
    rows = AgentVersion.objects.values().get(), ToolGrant.objects.values().get()
    with pytest.raises(IntegrityError, match=r"published"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert (AgentVersion.objects.values().get(), ToolGrant.objects.values().get()) == rows


def test_the_same_statements_change_a_draft(make_agent: MakeAgent) -> None:
    make_agent(published=False)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE agents_agentversion SET note = 'changed'")
        cursor.execute("DELETE FROM agents_toolgrant")
    assert (AgentVersion.objects.get().note, ToolGrant.objects.exists()) == ("changed", False)


def test_an_agent_publishes_only_its_own_published_version(make_agent: MakeAgent) -> None:
    agent, other = make_agent(), make_agent()
    draft = start_draft(agent=agent)
    for foreign in (other.published_version, draft):
        with pytest.raises(IntegrityError, match="published version of its own"), transaction.atomic():
            Agent.objects.filter(pk=agent.pk).update(published_version=foreign)


@pytest.mark.parametrize(
    "fields",
    [
        {"number": 0},
        {"state": "published"},
        {"state": "gone"},
        {"compiled": {}},
        {"number": 1},
    ],
)
def test_the_database_refuses_a_version_that_contradicts_itself(make_agent: MakeAgent, fields: dict[str, Any]) -> None:
    agent = make_agent()
    with pytest.raises(IntegrityError), transaction.atomic():
        AgentVersion.objects.create(agent=agent, **{"number": 2, **fields})


def in_thread(tenant: Tenant, action: Callable[[], Any]) -> Any:
    try:
        with tenant_scope(tenant):
            return action()
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_no_grant_slips_in_while_a_version_is_being_published(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        version = new_agent(published=False).versions.get()
    compiled, asked = Event(), Event()

    def publish_slowly() -> None:
        with transaction.atomic():
            publish(agent=version.agent)
            compiled.set()
            asked.wait(5)
            time.sleep(0.3)  # the grant is waiting for the lock by now

    def grant() -> None:
        compiled.wait(5)
        asked.set()
        ToolGrant.objects.create(version=version, key="take_message")

    with ThreadPoolExecutor(2) as pool:
        publishing, granting = (pool.submit(in_thread, tenant, action) for action in (publish_slowly, grant))
        publishing.result()
        with pytest.raises(IntegrityError, match="the tools of a published version cannot change"):
            granting.result()


@pytest.mark.django_db(transaction=True)
def test_two_people_publishing_at_once_publish_one_version(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        agent = new_agent(published=False)
    with ThreadPoolExecutor(4) as pool:
        tries = [pool.submit(in_thread, tenant, lambda: publish(agent=agent)) for _ in range(4)]
    assert sorted(type(each.exception()).__name__ for each in tries) == ["NoDraftError"] * 3 + ["NoneType"]
    with tenant_scope(tenant):
        assert agent.versions.get().is_published


@pytest.mark.django_db(transaction=True)
def test_two_people_starting_a_draft_at_once_start_one(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        agent = new_agent()
    with ThreadPoolExecutor(4) as pool:
        tries = [pool.submit(in_thread, tenant, lambda: start_draft(agent=agent)) for _ in range(4)]
    assert sorted(type(each.exception()).__name__ for each in tries) == ["DraftExistsError"] * 3 + ["NoneType"]
