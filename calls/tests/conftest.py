from collections.abc import Callable
from typing import Any

import pytest

from agents import testing as agents_testing
from agents.models import Agent
from calls import testing
from calls.models import Call, WorkerHost
from tenants.models import Tenant, TenantLimits
from tenants.scope import tenant_scope


@pytest.fixture
def make_agent(scope: Tenant) -> Callable[..., Agent]:
    """Makes agents of the tenant in scope; see agents.testing."""
    return agents_testing.make_agent


@pytest.fixture
def make_call(scope: Tenant) -> Callable[..., Call]:
    """Makes calls of the tenant in scope; see calls.testing."""
    return testing.make_call


@pytest.fixture
def make_host(scope: Tenant) -> Callable[..., WorkerHost]:
    return testing.make_host


@pytest.fixture
def roomy(scope: Tenant) -> None:
    """A tenant with room for many open calls."""
    TenantLimits.objects.update(max_open_calls=1000)


@pytest.fixture
def within(tenant: Tenant) -> Callable[..., Any]:
    """Calls a function in the scope of `tenant`, for tests whose requests come from outside any scope."""

    def run(function: Callable[..., Any], *args: Any, **given: Any) -> Any:
        with tenant_scope(tenant):
            return function(*args, **given)

    return run


@pytest.fixture
def agent(within: Callable[..., Any]) -> Agent:
    """A published agent of `tenant`."""
    made: Agent = within(agents_testing.make_agent)
    return made


@pytest.fixture
def placed(within: Callable[..., Any]) -> Callable[..., Call]:
    """Makes calls of `tenant`; see calls.testing."""
    return lambda **given: within(testing.make_call, **given)
