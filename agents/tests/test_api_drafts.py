"""Drafts through the API: replaced, changed in part, started, never lost to somebody else's change."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from agents.pipeline import VersionSettings
from agents.testing import TEST_SETTINGS, make_agent
from tenants.scope import tenant_scope


@pytest.fixture
def address(agent):
    return f"agents/{agent.public_id}/draft"


def test_a_draft_is_replaced_as_a_whole(api, address):
    settings = {**TEST_SETTINGS, "instructions": "Be kind.", "brain": {**TEST_SETTINGS["brain"], "temperature": 0.4}}
    body = {"settings": settings, "tools": {"take_message": {}}, "note": "Kinder"}
    replaced = api.send("put", address, body)
    assert replaced.status_code == 200
    shown = replaced.json()
    assert shown["settings"] == VersionSettings.model_validate(settings).model_dump(mode="json")
    assert (shown["number"], shown["tools"], shown["note"]) == (2, {"take_message": {}}, "Kinder")
    assert (api.get(address).json(), api.get(address)["ETag"]) == (shown, replaced["ETag"])
    again = api.send("put", address, {"settings": TEST_SETTINGS, "tools": {}}).json()
    assert (again["settings"]["instructions"], again["tools"], again["note"]) == (VersionSettings().instructions, {}, "")


def test_a_change_is_merged_into_the_draft(api, address):
    start = {**TEST_SETTINGS, "instructions": "Be kind.", "facts": ["One", "Two"]}
    api.send("put", address, {"settings": start, "tools": {"end_call": {}}, "note": "First"})
    changed = api.patch(address, {"settings": {"brain": {"temperature": 0.4}, "facts": ["Three"]}}).json()
    assert changed["settings"]["brain"] == {**VersionSettings().brain.model_dump(), **TEST_SETTINGS["brain"], "temperature": 0.4}
    assert (changed["settings"]["instructions"], changed["settings"]["facts"]) == ("Be kind.", ["Three"])
    assert (changed["tools"], changed["note"]) == ({"end_call": {}}, "First")
    changed = api.patch(address, {"tools": {"take_message": {}}, "note": "Second"}).json()
    assert (changed["tools"], changed["note"]) == ({"take_message": {}}, "Second")
    assert changed["settings"]["brain"]["temperature"] == 0.4


@pytest.mark.parametrize(
    ("body", "params"),
    [
        ({"settings": {"brain": {"temperature": 3}}}, ["settings.brain.temperature"]),
        ({"settings": {"brain": 5}}, ["settings.brain"]),
        (
            {"settings": {"brain": {"model": "huge"}, "speaking": {"voice": "no"}}},
            ["settings.brain.model", "settings.speaking.voice"],
        ),
        ({"settings": {"instructions": {"a": 1}}}, ["settings.instructions"]),
        ({"settings": {"colour": "red"}}, ["settings.colour"]),
        ({"settings": None}, ["settings"]),
        ({"settings": {"instructions": "a\u0000"}}, ["settings.instructions"]),
        ({"tools": {"fly": {}}}, ["tools.fly"]),
        ({"tools": {"end_call": True}}, ["tools.end_call"]),
        ({"note": "x" * 301}, ["note"]),
        ({"number": 7}, ["number"]),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_saved(api, address, tenant, rows_of, body, params):
    before = rows_of(tenant)
    whole = {"settings": {}, "tools": {}, **body}
    for refused in (api.patch(address, body), api.send("put", address, whole)):
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
        named = [error["param"] for error in refused.json()["errors"]]
        assert set(params) <= set(named)
    assert rows_of(tenant) == before


def test_a_whole_draft_has_settings_and_tools(api, address, tenant, rows_of):
    before = rows_of(tenant)
    refused = api.send("put", address, {"note": "New"})
    assert [error["param"] for error in refused.json()["errors"]] == ["settings", "tools"]
    assert rows_of(tenant) == before


def test_a_draft_that_has_changed_is_not_overwritten(api, address, tenant, rows_of):
    seen = api.get(address)["ETag"]
    assert api.patch(address, {"tools": {}}, headers={"If-Match": seen}).status_code == 200
    before = rows_of(tenant)
    for method, body in (("put", {"settings": TEST_SETTINGS, "tools": {}}), ("patch", {"note": "New"})):
        refused = api.send(method, address, body, headers={"If-Match": seen})
        assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert rows_of(tenant) == before
    assert refused["ETag"] == api.get(address)["ETag"]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_saw_the_same_draft_one_changes_it(make_api, tenant):
    with tenant_scope(tenant):
        agent = make_agent(published=False)
    address, clients, together = f"agents/{agent.public_id}/draft", [make_api(tenant) for _ in range(4)], Barrier(4)
    seen = clients[0].get(address)["ETag"]

    def change(client):
        try:
            together.wait(10)
            return client.patch(address, {"note": client.secret[:20]}, headers={"If-Match": seen}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(change, clients)) == [200, 412, 412, 412]


def test_without_a_draft_there_is_nothing_to_fetch_or_change(api, make_agent_of, tenant, rows_of):
    address = f"agents/{make_agent_of(tenant).public_id}/draft"
    before = rows_of(tenant)
    assert api.get(address).status_code == 404
    for method, body in (("put", {"settings": {}, "tools": {}}), ("patch", {})):
        refused = api.send(method, address, body)
        assert (refused.status_code, refused.json()["code"]) == (409, "no_draft")
    assert rows_of(tenant) == before


def test_a_draft_starts_as_a_copy_of_the_published_version(api, make_agent_of, tenant, rows_of):
    agent = make_agent_of(tenant, settings={"instructions": "First."})
    started = api.post(f"agents/{agent.public_id}/draft")
    assert (started.status_code, started.json()["number"]) == (201, 2)
    assert started.json()["settings"]["instructions"] == "First."
    assert started["ETag"] == api.get(f"agents/{agent.public_id}/draft")["ETag"]
    before = rows_of(tenant)
    refused = api.post(f"agents/{agent.public_id}/draft")
    assert (refused.status_code, refused.json()["code"]) == (409, "draft_exists")
    assert rows_of(tenant) == before


def test_a_draft_may_start_from_an_old_version(api, address, agent):
    root = f"agents/{agent.public_id}"
    api.patch(address, {"settings": {"instructions": "Second."}})
    api.post(f"{root}/publish")
    missing = api.post(address, {"version": 9})
    assert (missing.status_code, missing.json()["errors"][0]["param"]) == (400, "version")
    started = api.post(address, {"version": 1}).json()
    assert (started["number"], started["settings"]["instructions"]) == (3, VersionSettings().instructions)
