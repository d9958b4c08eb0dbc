"""Who may do what under /agents: the owner, a stranger, a key without the scope."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.services import publish, start_draft
from agents.testing import TEST_SETTINGS
from tenants.roles import SCOPES
from tenants.scope import tenant_scope

READ, WRITE, PUBLISH = "agents:read", "agents:write", "agents:publish"
DRAFT = {"settings": dict(TEST_SETTINGS), "tools": {}}
# method, path, body, scope, whether the agent has a draft
OPERATIONS = [
    ("get", "", None, READ, True),
    ("patch", "", {"name": "Nora"}, WRITE, True),
    ("post", "/archive", {}, WRITE, True),
    ("post", "/restore", {}, WRITE, True),
    ("post", "/duplicate", {"name": "Nora"}, WRITE, True),
    ("get", "/draft", None, READ, True),
    ("put", "/draft", DRAFT, WRITE, True),
    ("patch", "/draft", {"note": "New"}, WRITE, True),
    ("post", "/draft", {}, WRITE, False),
    ("get", "/versions", None, READ, True),
    ("get", "/versions/1", None, READ, True),
    ("get", "/diff", None, READ, True),
    ("post", "/publish", {}, PUBLISH, True),
    ("post", "/roll_back", {"version": 1}, PUBLISH, True),
]
CHANGES = [operation for operation in OPERATIONS if operation[0] != "get"]
IDS = [f"{method} {path}" for method, path, *_ in OPERATIONS]
CHANGE_IDS = [f"{method} {path}" for method, path, *_ in CHANGES]


def ask(client, operation, agent):
    method, path, body, *_ = operation
    address = f"agents/{agent.public_id}{path}"
    return client.get(address) if method == "get" else client.send(method, address, body)


@pytest.fixture
def ava(make_agent_of, tenant):
    return lambda operation: make_agent_of(tenant, draft=operation[4], name="Ava")


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_the_owner_succeeds_and_a_stranger_finds_nothing(api, stranger, ava, tenant, rows_of, operation):
    agent = ava(operation)
    before = rows_of(tenant)
    refused = ask(stranger, operation, agent)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert rows_of(tenant) == before
    assert ask(api, operation, agent).status_code in (200, 201)


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_a_key_needs_the_scope(make_api, tenant, ava, rows_of, operation):
    agent = ava(operation)
    before = rows_of(tenant)
    without = ask(make_api(tenant, scopes=set(SCOPES) - {operation[3]}), operation, agent)
    assert (without.status_code, without.json()["code"]) == (403, "permission_denied")
    assert operation[3] in without.json()["detail"]
    assert rows_of(tenant) == before
    assert ask(make_api(tenant, scopes=[operation[3]]), operation, agent).status_code in (200, 201)


@pytest.mark.parametrize("operation", CHANGES, ids=CHANGE_IDS)
def test_an_unknown_field_is_named(api, ava, tenant, rows_of, operation):
    agent = ava(operation)
    before = rows_of(tenant)
    method, path, body, *rest = operation
    refused = ask(api, (method, path, {**body, "colour": "red"}, *rest), agent)
    assert refused.status_code == 400
    assert [(error["param"], error["code"]) for error in refused.json()["errors"]] == [("colour", "unknown_field")]
    assert rows_of(tenant) == before


@pytest.mark.parametrize("operation", CHANGES, ids=CHANGE_IDS)
def test_without_a_key_nothing_is_done(client, ava, tenant, rows_of, operation):
    agent = ava(operation)
    before = rows_of(tenant)
    method, path, body, *_ = operation
    address = f"/api/v1/agents/{agent.public_id}{path}"
    assert getattr(client, method)(address, body, content_type="application/json").status_code == 401
    assert rows_of(tenant) == before


@pytest.mark.parametrize("resource", ["agents", "voices", "providers", "tools", "settings_schema"])
def test_lists_need_the_scope_and_take_no_unknown_filter(api, make_api, tenant, resource):
    assert api.get(resource).status_code == 200
    assert make_api(tenant, scopes=set(SCOPES) - {READ}).get(resource).status_code == 403
    refused = api.get(resource, data={"colour": "red"})
    assert (refused.status_code, refused.json()["errors"][0]["param"]) == (400, "colour")


def test_a_list_holds_ones_own(api, stranger, make_agent_of, tenant, other_tenant):
    mine, theirs = make_agent_of(tenant, name="Ava"), make_agent_of(other_tenant, name="Ava")
    for client, row in ((api, mine), (stranger, theirs)):
        assert [shown["id"] for shown in client.get("agents").json()["data"]] == [row.public_id]


def test_another_tenants_version_is_as_unknown_as_one_that_is_missing(api, agent, make_agent_of, other_tenant, tenant, rows_of):
    theirs = make_agent_of(other_tenant).published_version
    before = rows_of(tenant)
    for called in (theirs.public_id, "agv_01h455vb4pex5vsknk084sn02q", 99, "agt_x", "latest"):
        refused = api.post(f"agents/{agent.public_id}/roll_back", {"version": called})
        [error] = refused.json()["errors"]
        assert (refused.status_code, error["param"], error["code"]) == (400, "version", "does_not_exist")
        assert api.get(f"agents/{agent.public_id}/versions/{called}").status_code == 404
        refused = api.get(f"agents/{agent.public_id}/diff", data={"from": called})
        assert (refused.status_code, refused.json()["errors"][0]["param"]) == (400, "from")
    assert rows_of(tenant) == before


def listed(api, path):
    """How many rows, at the cost of how many queries."""
    with CaptureQueriesContext(connection) as queries:
        rows = api.get(path).json()["data"]
    return len(rows), len(queries)


def test_listing_agents_costs_the_same_for_any_number(api, make_agent_of, tenant):
    make_agent_of(tenant, draft=True)
    api.get("agents")
    found = [listed(api, "agents")]
    for number in range(5):
        make_agent_of(tenant, draft=number % 2 == 0)
    found.append(listed(api, "agents"))
    assert [rows for rows, _ in found] == [1, 6]
    assert found[0][1] == found[1][1]


def test_listing_versions_costs_the_same_for_any_number(api, agent, tenant):
    path = f"agents/{agent.public_id}/versions"
    api.get(path)
    found = [listed(api, path)]
    with tenant_scope(tenant):
        for _ in range(3):
            publish(agent=agent)
            start_draft(agent=agent)
    found.append(listed(api, path))
    assert [rows for rows, _ in found] == [2, 5]
    assert found[0][1] == found[1][1]
