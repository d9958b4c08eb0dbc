"""Versions through the API: published, listed, compared, gone back to."""

import pytest

from agents.services import compile_version
from agents.testing import TEST_SETTINGS
from tenants.models import AuditEvent, OutboxEvent
from tenants.scope import tenant_scope


@pytest.fixture
def address(agent):
    return f"agents/{agent.public_id}"


def topics(tenant):
    with tenant_scope(tenant):
        return [event.data["number"] for event in OutboxEvent.objects.filter(topic="agent.published").order_by("sequence")]


def test_publishing_lets_calls_use_the_draft(api, address, agent, tenant):
    api.patch(f"{address}/draft", {"settings": {"instructions": "Second."}, "note": "Old note"})
    published = api.post(f"{address}/publish", {"note": "Opening hours"})
    assert published.status_code == 200
    assert (published.json()["published_version"]["number"], published.json()["draft"]) == (2, None)
    version = api.get(f"{address}/versions/2").json()
    assert (version["state"], version["note"], version["settings"]["instructions"]) == ("published", "Opening hours", "Second.")
    assert topics(tenant) == [1, 2]
    with tenant_scope(tenant):
        agent.refresh_from_db()
        assert compile_version(agent.published_version)["settings"]["instructions"] == "Second."
    refused = api.post(f"{address}/publish")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_draft")


def test_without_a_note_the_drafts_stays(api, address):
    api.patch(f"{address}/draft", {"note": "Opening hours"})
    api.post(f"{address}/publish")
    assert api.get(f"{address}/versions/2").json()["note"] == "Opening hours"


def test_what_cannot_work_is_not_published(api, address, tenant, rows_of):
    api.patch(f"{address}/draft", {"settings": {"opening": {"greeting": "Hello {{ nobody }}"}}})
    before = rows_of(tenant)
    refused = api.post(f"{address}/publish", {"note": "New"})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    [error] = refused.json()["errors"]
    assert error["param"] == "settings.opening.greeting"
    assert "'nobody' is not a known variable" in error["detail"]
    assert rows_of(tenant) == before


def test_versions_are_listed_newest_first_with_the_draft(api, address, agent):
    rows = api.get(f"{address}/versions").json()["data"]
    assert [(row["number"], row["state"], bool(row["published_at"])) for row in rows] == [
        (2, "draft", False),
        (1, "published", True),
    ]
    assert rows[1]["id"] == agent.published_version.public_id
    assert "settings" not in rows[0]
    page = api.get(f"{address}/versions", data={"limit": 1}).json()
    assert (len(page["data"]), page["has_more"]) == (1, True)


def test_a_version_is_found_by_number_and_id(api, address, agent):
    by_number, by_id = (api.get(f"{address}/versions/{called}") for called in (1, agent.published_version.public_id))
    assert by_number.json() == by_id.json()
    assert (by_number.json()["tools"], by_number.json()["settings"]["brain"]["model"]) == ({"end_call": {}}, "rules")
    for called in ("9", "0", "99999999999", "agv_x", "1.0", "٣"):
        assert api.get(f"{address}/versions/{called}").status_code == 404


def test_another_agents_version_is_not_found(api, address, make_agent_of, tenant):
    other = make_agent_of(tenant).published_version
    assert api.get(f"{address}/versions/{other.public_id}").status_code == 404
    assert api.post(f"{address}/roll_back", {"version": other.public_id}).status_code == 400


@pytest.mark.parametrize("by_id", [False, True])
def test_calls_go_back_to_an_older_version(api, address, agent, tenant, by_id):
    first = agent.published_version
    api.post(f"{address}/publish")
    api.post(f"{address}/draft")
    back = api.post(f"{address}/roll_back", {"version": first.public_id if by_id else 1})
    assert back.status_code == 200
    assert (back.json()["published_version"]["number"], back.json()["draft"]["number"]) == (1, 3)
    assert topics(tenant) == [1, 2, 1]
    with tenant_scope(tenant):
        agent.refresh_from_db()
        assert agent.published_version == first
        noted = AuditEvent.objects.get(action="agent.rolled_back")
        second = agent.versions.get(number=2)
        assert noted.data == {"version": str(first.pk), "before": str(second.pk)}
        assert noted.api_key_id
    assert api.post(f"{address}/roll_back", {"version": 2}).json()["published_version"]["number"] == 2


def test_going_back_to_the_version_in_use_changes_nothing(api, address, tenant, rows_of):
    before = rows_of(tenant)
    assert api.post(f"{address}/roll_back", {"version": 1}).json()["published_version"]["number"] == 1
    assert rows_of(tenant) == before


def test_calls_do_not_go_to_a_draft(api, address, tenant, rows_of):
    before = rows_of(tenant)
    refused = api.post(f"{address}/roll_back", {"version": 2})
    assert (refused.status_code, refused.json()["code"]) == (409, "version_not_published")
    assert [error["param"] for error in api.post(f"{address}/roll_back").json()["errors"]] == ["version"]
    assert rows_of(tenant) == before


def test_a_draft_started_after_going_back_copies_what_calls_use(api, address):
    api.patch(f"{address}/draft", {"settings": {"instructions": "Second."}})
    api.post(f"{address}/publish")
    api.post(f"{address}/roll_back", {"version": 1})
    started = api.post(f"{address}/draft").json()
    assert (started["number"], started["settings"]["instructions"] == "Second.") == (3, False)


def test_a_comparison_names_every_setting_and_tool_that_differs(api, address):
    settings = {**TEST_SETTINGS, "brain": {**TEST_SETTINGS["brain"], "temperature": 0.5}, "facts": ["Closed"]}
    api.send("put", f"{address}/draft", {"settings": settings, "tools": {"take_message": {}}})
    found = api.get(f"{address}/diff", data={"from": "1", "to": "draft"}).json()
    assert found == api.get(f"{address}/diff").json()
    assert (found["from"]["number"], found["to"]["number"], found["to"]["state"]) == (1, 2, "draft")
    assert found["settings"] == [
        {"field": "facts", "from": [], "to": ["Closed"]},
        {"field": "brain.temperature", "from": 0.0, "to": 0.5},
    ]
    assert found["tools"] == {"added": ["take_message"], "removed": ["end_call"], "changed": []}
    back = api.get(f"{address}/diff", data={"from": "draft", "to": found["from"]["id"]}).json()
    assert back["tools"] == {"added": ["end_call"], "removed": ["take_message"], "changed": []}


def test_versions_that_are_the_same_have_no_differences(api, address):
    found = api.get(f"{address}/diff").json()
    assert (found["settings"], found["tools"]) == ([], {"added": [], "removed": [], "changed": []})


def test_without_a_draft_there_is_nothing_to_compare_with(api, make_agent_of, tenant):
    refused = api.get(f"agents/{make_agent_of(tenant).public_id}/diff")
    assert (refused.status_code, refused.json()["errors"][0]["param"]) == (400, "to")
