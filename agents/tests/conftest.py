from collections.abc import Callable

import pytest

from agents import testing
from agents.models import Agent
from tenants.models import Tenant


@pytest.fixture
def make_agent(scope: Tenant) -> Callable[..., Agent]:
    """Makes agents of the tenant in scope; see agents.testing."""
    return testing.make_agent
