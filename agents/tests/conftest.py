from collections.abc import Callable
from typing import Any

import pytest

from agents import testing
from agents.models import Agent, AgentVersion, ToolGrant
from agents.services import start_draft
from tenants.models import AuditEvent, OutboxEvent, Tenant
from tenants.scope import tenant_scope


@pytest.fixture
def make_agent(scope: Tenant) -> Callable[..., Agent]:
    """Makes agents of the tenant in scope; see agents.testing."""
    return testing.make_agent


@pytest.fixture
def make_agent_of() -> Callable[..., Agent]:
    """Makes an agent of a tenant and leaves its scope, as requests to the API need it."""

    def make(tenant: Tenant, *, draft: bool = False, **fields: Any) -> Agent:
        with tenant_scope(tenant):
            agent = testing.make_agent(**fields)
            if draft:
                start_draft(agent=agent)
        return agent

    return make


@pytest.fixture
def agent(make_agent_of: Callable[..., Agent], tenant: Tenant) -> Agent:
    """Ava of `tenant`: version 1 is published, version 2 a draft."""
    return make_agent_of(tenant, draft=True, name="Ava")


@pytest.fixture
def rows_of() -> Callable[[Tenant], Any]:
    """Everything this app keeps for a tenant, and what was told about it."""
    models = (Agent, AgentVersion, ToolGrant, AuditEvent, OutboxEvent)

    def rows(tenant: Tenant) -> Any:
        with tenant_scope(tenant):
            noted = {AuditEvent: {"target_type__startswith": "agents."}, OutboxEvent: {"object_type": "agent"}}
            return [list(model.objects.filter(**noted.get(model, {})).order_by("pk").values()) for model in models]

    return rows
