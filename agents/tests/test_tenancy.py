"""Agents of different tenants never meet."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from agents.models import Agent, AgentVersion, ToolGrant
from agents.services import (
    archive_agent,
    change_agent,
    change_draft,
    create_agent,
    duplicate_agent,
    publish,
    restore_agent,
    roll_back,
    save_draft,
    start_draft,
)
from agents.testing import make_agent
from tenants.errors import NoTenantScopeError
from tenants.models import Tenant
from tenants.scope import all_tenants, tenant_scope

CHANGES: dict[str, Callable[[Agent], Any]] = {
    "start_draft": lambda agent: start_draft(agent=agent),
    "save_draft": lambda agent: save_draft(agent=agent, settings={}, tools={}),
    "change_draft": lambda agent: change_draft(agent=agent, settings={}),
    "publish": lambda agent: publish(agent=agent),
    "roll_back": lambda agent: roll_back(agent=agent, version=agent.published_version),
    "change_agent": lambda agent: change_agent(agent=agent, name="Nora"),
    "duplicate_agent": lambda agent: duplicate_agent(agent=agent),
    "archive_agent": lambda agent: archive_agent(agent=agent),
    "restore_agent": lambda agent: restore_agent(agent=agent),
}


def agent_of(tenant: Tenant, **fields: Any) -> Agent:
    with tenant_scope(tenant):
        return make_agent(**fields)


def everything(tenant: Tenant) -> list[Any]:
    with tenant_scope(tenant):
        return [list(model.objects.order_by("pk").values()) for model in (Agent, AgentVersion, ToolGrant)]


@pytest.mark.parametrize("change", CHANGES)
def test_another_tenants_agent_is_refused(tenant: Tenant, other_tenant: Tenant, change: str) -> None:
    agent = agent_of(tenant)
    before = everything(tenant)
    with tenant_scope(other_tenant), pytest.raises(NoTenantScopeError):
        CHANGES[change](agent)
    assert (everything(tenant), everything(other_tenant)) == (before, [[], [], []])


@pytest.mark.parametrize("change", CHANGES)
def test_without_a_scope_nothing_is_done(tenant: Tenant, change: str) -> None:
    agent = agent_of(tenant)
    before = everything(tenant)
    with pytest.raises(NoTenantScopeError):
        CHANGES[change](agent)
    assert everything(tenant) == before


def test_staff_who_see_all_tenants_change_an_agent_of_one(tenant: Tenant) -> None:
    agent = agent_of(tenant)
    with all_tenants():
        start_draft(agent=agent)
        assert publish(agent=agent).number == 2
        assert duplicate_agent(agent=agent).tenant == tenant
        with pytest.raises(NoTenantScopeError):
            create_agent(name="Whose?")


def test_two_tenants_may_use_the_same_name(tenant: Tenant, other_tenant: Tenant) -> None:
    mine, theirs = agent_of(tenant, name="Ava"), agent_of(other_tenant, name="Ava")
    assert mine.tenant_id != theirs.tenant_id


@pytest.mark.parametrize(
    ("model", "field", "target", "refusal"),
    [
        (AgentVersion, "agent", Agent, "agentversion_agent_same_tenant"),
        (ToolGrant, "version", AgentVersion, "toolgrant_version_same_tenant"),
        (Agent, "published_version", AgentVersion, "published version of its own"),
    ],
)
def test_the_database_refuses_references_to_another_tenant(
    tenant: Tenant, other_tenant: Tenant, model: Any, field: str, target: Any, refusal: str
) -> None:
    agent_of(tenant, published=False)
    agent_of(other_tenant, published=False)
    with tenant_scope(other_tenant):
        foreign = target.objects.get()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match=refusal), transaction.atomic():
        model.all_objects.filter(tenant=tenant).update(**{field: foreign})
