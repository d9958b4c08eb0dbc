from collections.abc import Callable

import pytest

from agents import testing as agents_testing
from agents.models import Agent
from calls import testing
from calls.models import Call, WorkerHost
from tenants.models import Tenant, TenantLimits


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
