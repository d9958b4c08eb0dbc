"""A list costs as many queries for one row as for many, filtered or not."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.testing import make_agent
from calls.models import Leg, Recording
from calls.testing import make_call, make_number, make_trunk
from tenants.scope import tenant_scope

FILTERS = [
    "",
    "status=ended",
    "disposition=completed",
    "kind=simulated",
    "livemode=false",
    "metadata[order]=7",
    "ordering=created_at",
]
# Recordings and legs of the page, the page itself, the note in the log.
QUERIES = 4


@pytest.fixture
def agent(tenant):
    with tenant_scope(tenant):
        agent = make_agent()
        for number in range(5):
            call = make_call(agent=agent, status="ended", finalized=True, metadata={"order": "7"})
            file = storages["recordings"].save(f"{number}.ogg", ContentFile(b"sound"))
            stored = {"state": "stored", "file": file, "size": 5, "sha256": "0" * 64, "stored_at": timezone.now()}
            Recording.objects.create(call=call, **stored)
            for role in ("caller", "target"):
                Leg.objects.create(call=call, role=role, identity=role, phone="+12025550177", started_at=timezone.now())
        return agent


@pytest.mark.parametrize("query", [*FILTERS, "agent"])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_the_list_of_calls_takes_as_many_queries_whatever_it_shows(query, limit, agent, api):
    query = f"agent_id={agent.public_id}" if query == "agent" else query
    api.get("me")
    with CaptureQueriesContext(connection) as queries:
        shown = api.get(f"calls?limit={limit}&{query}").json()["data"]
    assert len(shown) == min(limit, 5)
    assert all(call["recording"] and len(call["legs"]) == 2 for call in shown)
    assert len(queries) == QUERIES, [query["sql"][:100] for query in queries]


@pytest.fixture
def own_numbers(tenant):
    """Five trunks, each with a number that an agent answers."""
    with tenant_scope(tenant):
        for _ in range(5):
            make_number(trunk=make_trunk(), agent=make_agent(), closed_agent=make_agent())


@pytest.mark.parametrize("limit", [1, 5])
@pytest.mark.parametrize("path", ["trunks?stopped=false", "trunks?", "numbers?", "numbers?released=false"])
def test_lists_of_trunks_and_numbers_take_two_queries(path, limit, own_numbers, api):
    api.get("me")
    with CaptureQueriesContext(connection) as queries:
        assert len(api.get(f"{path}&limit={limit}").json()["data"]) == limit
    assert len(queries) == 2, [query["sql"][:100] for query in queries]
