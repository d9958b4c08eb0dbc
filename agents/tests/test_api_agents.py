"""Agents through the API: made, found, changed, archived, copied."""

import pytest

from agents.models import Agent
from agents.services import archive_agent
from tenants.models import AuditEvent
from tenants.scope import tenant_scope


def test_an_agent_is_made_with_a_draft_and_shown_as_it_is(api, tenant):
    body = {
        "name": "Ava",
        "description": "Front desk",
        "metadata": {"branch": "north"},
        "settings": {"instructions": "Be kind.", "brain": {"temperature": 0.5}},
        "tools": {"take_message": {}},
    }
    response = api.post("agents", body)
    assert response.status_code == 201
    shown = response.json()
    assert (shown["name"], shown["description"], shown["metadata"]) == ("Ava", "Front desk", {"branch": "north"})
    assert (shown["published_version"], shown["draft"]["number"], shown["archived_at"]) == (None, 1, None)
    assert api.get(f"agents/{shown['id']}").json() == shown
    draft = api.get(f"agents/{shown['id']}/draft").json()
    assert (draft["settings"]["instructions"], draft["settings"]["brain"]["temperature"]) == ("Be kind.", 0.5)
    assert draft["settings"]["limits"]["max_duration_s"] == 900
    assert draft["tools"] == {"take_message": {}}


def test_the_published_version_is_shown(api, agent):
    shown = api.get(f"agents/{agent.public_id}").json()
    version = agent.published_version
    assert (shown["published_version"]["id"], shown["published_version"]["number"]) == (version.public_id, 1)
    assert shown["published_version"]["published_at"].endswith("Z")
    assert shown["draft"]["number"] == 2


def test_a_bare_name_is_enough(api):
    made = api.post("agents", {"name": " Ava "}).json()
    assert (made["name"], made["description"], made["metadata"]) == ("Ava", "", {})
    assert api.get(f"agents/{made['id']}/draft").json()["tools"] == {"end_call": {}}


@pytest.mark.parametrize(
    ("body", "param", "detail"),
    [
        ({}, "name", "required"),
        ({"name": ""}, "name", "may not be blank"),
        ({"name": "Ava"}, "name", "Another agent has this name."),
        ({"name": "x" * 81}, "name", "no more than 80 characters"),
        ({"name": "Nora", "colour": "red"}, "colour", "There is no such field"),
        ({"name": "Nora", "id": "agt_x"}, "id", "There is no such field"),
        ({"name": "Nora", "metadata": {"a": {}}}, "metadata.a", "Not a valid string"),
        ({"name": "Nora", "metadata": {"x" * 41: "a"}}, "metadata", "Keys have 1 to 40 characters"),
        ({"name": "Nora", "settings": {"brain": {"temperature": 3}}}, "settings.brain.temperature", "At most 2; this is 3"),
        ({"name": "Nora", "settings": {"brain": 5}}, "settings.brain", "must be a group of settings"),
        ({"name": "Nora", "settings": {"name": "x"}}, "settings.name", "There is no such setting"),
        ({"name": "Nora", "settings": {"tools": {}}}, "settings.tools", "There is no such setting"),
        ({"name": "Nora", "settings": {"variables": [{"name": "now"}]}}, "settings.variables.0.name", "filled by the platform"),
        ({"name": "Nora", "settings": []}, "settings", "Expected a dictionary"),
        ({"name": "Nora", "tools": {"fly": {}}}, "tools.fly", "There is no tool 'fly'"),
        ({"name": "Nora", "tools": {"end_call": {"loudly": True}}}, "tools.end_call.loudly", "There is no such setting"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_made(api, make_agent_of, tenant, rows_of, body, param, detail):
    make_agent_of(tenant, name="Ava")
    before = rows_of(tenant)
    refused = api.post("agents", body)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    [error] = refused.json()["errors"]
    assert error["param"] == param
    assert detail in error["detail"]
    assert rows_of(tenant) == before


def test_the_same_key_makes_one_agent(api, tenant):
    first, second = (api.post("agents", {"name": "Ava"}, headers={"Idempotency-Key": "a"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert api.post("agents", {"name": "Nora"}, headers={"Idempotency-Key": "a"}).status_code == 422
    with tenant_scope(tenant):
        assert Agent.objects.get().name == "Ava"


def test_filters_find_by_name_state_and_metadata(api, make_agent_of, tenant):
    for name, metadata in (("Ava North", {"branch": "north"}), ("Ava South", {"branch": "south"}), ("Nora", {"branch": "north"})):
        assert api.post("agents", {"name": name, "metadata": metadata}).status_code == 201
    rests = make_agent_of(tenant, name="Ava Old")
    with tenant_scope(tenant):
        archive_agent(agent=rests)

    def names(**filters):
        return [row["name"] for row in api.get("agents", data=filters).json()["data"]]

    assert names() == names(archived="false") == ["Nora", "Ava South", "Ava North"]
    assert names(archived="true") == ["Ava Old"]
    assert names(name="ava") == ["Ava South", "Ava North"]
    assert names(**{"metadata[branch]": "north"}) == ["Nora", "Ava North"]
    assert names(**{"metadata[branch]": "north", "name": "ava", "ordering": "created_at"}) == ["Ava North"]


@pytest.mark.parametrize(
    ("filters", "param"),
    [
        ({"archived": "maybe"}, "archived"),
        ({"name": "a\x00"}, "name"),
        ({"metadata": "north"}, "metadata"),
        ({"metadata[branch": "north"}, "metadata[branch"),
        ({"metadata[branch]": "a\x00"}, "metadata"),
        ({"limit": "0"}, "limit"),
    ],
)
def test_a_filter_that_does_not_fit_is_named(api, filters, param):
    refused = api.get("agents", data=filters)
    assert (refused.status_code, refused.json()["errors"][0]["param"]) == (400, param)


def test_pages_hold_every_agent_once(api, make_agent_of, tenant):
    made = [make_agent_of(tenant).public_id for _ in range(5)]
    seen, following = [], "agents?limit=2"
    while following:
        page = api.get(following).json()
        seen += [row["id"] for row in page["data"]]
        following = page["next"] and page["next"].partition("/api/v1/")[2]
    assert seen == made[::-1]


def test_a_change_touches_what_was_sent_and_is_noted(api, agent, tenant):
    address = f"agents/{agent.public_id}"
    assert api.patch(address, {"description": "Nights", "metadata": {"a": "b"}}).status_code == 200
    changed = api.patch(address, {"name": " Nora ", "description": "Nights"})
    assert (changed.json()["name"], changed.json()["description"], changed.json()["metadata"]) == ("Nora", "Nights", {"a": "b"})
    assert changed["ETag"] == api.get(address)["ETag"]
    assert api.patch(address, {}).status_code == 200
    with tenant_scope(tenant):
        noted = AuditEvent.objects.filter(action="agent.changed").order_by("at")
        assert [event.fields for event in noted] == [["description", "metadata"], ["name"]]
        assert all(event.api_key_id for event in noted)


def test_a_name_that_is_taken_is_refused(api, agent, make_agent_of, tenant, rows_of):
    make_agent_of(tenant, name="Nora")
    before = rows_of(tenant)
    refused = api.patch(f"agents/{agent.public_id}", {"name": "Nora"})
    assert refused.status_code == 400
    assert [(error["param"], error["detail"]) for error in refused.json()["errors"]] == [("name", "Another agent has this name.")]
    assert rows_of(tenant) == before


def test_a_change_of_what_has_changed_is_refused(api, agent, tenant, rows_of):
    address = f"agents/{agent.public_id}"
    seen = api.get(address)["ETag"]
    assert api.patch(address, {"name": "Nora"}, headers={"If-Match": seen}).status_code == 200
    before = rows_of(tenant)
    refused = api.patch(address, {"name": "Ben"}, headers={"If-Match": seen})
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert rows_of(tenant) == before
    assert api.patch(address, {"name": "Ben"}, headers={"If-Match": refused["ETag"]}).status_code == 200


def test_an_archived_agent_rests_until_it_is_restored(api, agent, tenant, rows_of):
    address = f"agents/{agent.public_id}"
    assert api.post(f"{address}/archive").json()["archived_at"]
    before = rows_of(tenant)
    for method, path in (("patch", ""), ("post", "/archive"), ("post", "/publish"), ("patch", "/draft"), ("post", "/draft")):
        refused = api.send(method, address + path)
        assert (refused.status_code, refused.json()["code"]) == (409, "agent_archived")
    assert rows_of(tenant) == before
    assert api.get(address).status_code == 200
    assert api.post(f"{address}/restore").json()["archived_at"] is None
    assert api.post(f"{address}/publish").status_code == 200


def test_a_copy_begins_with_the_draft_under_another_name(api, agent):
    address = f"agents/{agent.public_id}"
    api.patch(f"{address}/draft", {"settings": {"instructions": "New."}})
    api.patch(address, {"metadata": {"branch": "north"}})
    first, second = api.post(f"{address}/duplicate").json(), api.post(f"{address}/duplicate", {"name": "Nora"}).json()
    assert (first["name"], second["name"], second["metadata"]) == ("Ava (copy)", "Nora", {"branch": "north"})
    assert (second["published_version"], second["draft"]["number"]) == (None, 1)
    assert api.get(f"agents/{second['id']}/draft").json()["settings"]["instructions"] == "New."
    refused = api.post(f"{address}/duplicate", {"name": "Nora"})
    assert (refused.status_code, refused.json()["errors"][0]["param"]) == (400, "name")


@pytest.mark.parametrize("called", ["agt_01h455vb4pex5vsknk084sn02q", "call_01h455vb4pex5vsknk084sn02q", "x", "agt_%00"])
def test_what_is_no_agent_is_not_found(api, called):
    assert api.get(f"agents/{called}").status_code == 404


def test_agents_are_not_deleted(api, agent):
    refused = api.delete(f"agents/{agent.public_id}")
    assert (refused.status_code, refused.json()["code"]) == (405, "method_not_allowed")
