"""Trunks through the API: owner, customer of an agency, stranger."""

from collections.abc import Callable
from typing import Any

import pytest

from calls.carriers import PRESETS
from calls.models import SipTrunk, TrunkGrant
from calls.services import trunks
from calls.testing import make_number, make_trunk
from conftest import ApiClient
from tenants.models import AuditEvent, Tenant
from tenants.roles import ROLE_SCOPES
from tenants.scope import tenant_scope

NEW = {"name": "Main", "carrier": "vonage", "address": "sip.nexmo.com", "auth_username": "us", "auth_password": "s3cret"}


def refusal(response: Any) -> tuple[int, str, set[str]]:
    body = response.json()
    return response.status_code, body["code"], {error["param"] for error in body["errors"]}


@pytest.fixture
def trunk(tenant: Tenant) -> SipTrunk:
    with tenant_scope(tenant):
        return make_trunk(name="Main", metadata={"team": "a"})


def test_a_trunk_is_created_read_and_changed(api: ApiClient, tenant: Tenant) -> None:
    made = api.post("trunks", {**NEW, "metadata": {"z": "1"}, "allowed_addresses": ["203.0.113.9/28"]})
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["owner"], body["transport"], body["cps"], body["channels"]) == ("self", "tcp", 1, 10)
    assert (body["allowed_addresses"], body["synced_at"], body["stopped_at"]) == (["203.0.113.0/28"], None, None)
    assert "s3cret" not in made.content.decode()
    read = api.get(f"trunks/{body['id']}")
    assert (read.json(), read["ETag"]) == (body, made["ETag"])
    changed = api.patch(f"trunks/{body['id']}", {"channels": 30}, headers={"If-Match": read["ETag"]})
    assert changed.json() == {**body, "channels": 30}
    late = api.patch(f"trunks/{body['id']}", {"channels": 5}, headers={"If-Match": read["ETag"]})
    assert refusal(late)[:2] == (412, "precondition_failed")
    with tenant_scope(tenant):
        assert SipTrunk.objects.get().auth_password.reveal() == "s3cret"
        assert AuditEvent.objects.get(action="trunk.changed").fields == ["channels"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "x", "carrier": "vonage"}, "address"),
        ({**NEW, "address": "sip:host.example.com"}, "address"),
        ({**NEW, "carrier": "pigeon"}, "carrier"),
        ({**NEW, "cps": 0}, "cps"),
        ({**NEW, "auth_username": ""}, "auth_username"),
        ({**NEW, "allowed_addresses": ["example.com"]}, "allowed_addresses"),
        ({**NEW, "account_id": "car_00000000000000000000000000"}, "account_id"),
        ({**NEW, "livekit_id": "ST_1"}, "livekit_id"),
    ],
)
def test_a_trunk_that_does_not_fit_is_refused_by_field(api: ApiClient, body: dict[str, Any], param: str) -> None:
    assert refusal(api.post("trunks", body)) == (400, "invalid", {param})
    assert not SipTrunk.all_objects.exists()


def test_a_name_that_is_taken_is_a_conflict(api: ApiClient, trunk: SipTrunk) -> None:
    assert refusal(api.post("trunks", {**NEW, "name": "Main"})) == (409, "name_taken", {"name"})
    other = api.post("trunks", {**NEW, "name": "Other"}).json()["id"]
    assert refusal(api.patch(f"trunks/{other}", {"name": "Main"}))[1] == "name_taken"


def test_a_trunk_is_stopped_and_resumed(api: ApiClient, trunk: SipTrunk) -> None:
    path = f"trunks/{trunk.public_id}"
    stopped = api.post(f"{path}/stop", {"reason": "Maintenance"}).json()
    assert (stopped["stopped_reason"], stopped["stopped_at"] is None) == ("Maintenance", False)
    assert api.post(f"{path}/stop", {"reason": "Again"}).json() == stopped
    assert [row["id"] for row in api.get("trunks?stopped=true").json()["data"]] == [trunk.public_id]
    assert refusal(api.post(f"{path}/stop", {})) == (400, "invalid", {"reason"})
    resumed = api.post(f"{path}/resume", {"reason": "Done"}).json()
    assert (resumed["stopped_at"], resumed["stopped_reason"]) == (None, "")
    assert AuditEvent.all_objects.get(action="trunk.resumed").reason == "Done"


def test_a_trunk_is_retired_once_nothing_uses_it(api: ApiClient, tenant: Tenant, trunk: SipTrunk) -> None:
    with tenant_scope(tenant):
        number = make_number(trunk=trunk, phone="+12025550177")
    path = f"trunks/{trunk.public_id}"
    refused = api.delete(path)
    assert refusal(refused)[:2] == (409, "in_use")
    assert "+12025550177" in refused.json()["detail"]
    assert api.delete(f"numbers/{number.public_id}").status_code == 204
    assert api.delete(path, headers={"If-Match": '"other"'}).status_code == 412
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    assert api.get("trunks").json()["data"] == []


@pytest.fixture
def customer(make_tenant: Callable[..., Tenant], tenant: Tenant, trunk: SipTrunk) -> Tenant:
    """Of the agency `tenant`, with 4 of the lines of its trunk."""
    made = make_tenant(agency=tenant)
    with tenant_scope(made):
        trunks.grant_trunk(trunk=trunk, channels=4, reserved_inbound=1)
    return made


def test_a_customer_sees_what_it_may_use_and_no_more(
    make_api: Callable[..., ApiClient], tenant: Tenant, trunk: SipTrunk, customer: Tenant
) -> None:
    with tenant_scope(tenant):
        trunks.change_trunk(trunk=trunk, auth_username="canary", auth_password="canary", allowed_addresses=["203.0.113.7"])
        trunks.stop_trunk(trunk=trunk, why="canary")
    theirs = make_api(customer)
    [shown] = theirs.get("trunks").json()["data"]
    known = {name: value for name, value in shown.items() if value is not None and name != "created_at"}
    stopped_at = known.pop("stopped_at")
    mine = {"id": trunk.public_id, "owner": "agency", "name": "Main", "carrier": "other"}
    assert (known, bool(stopped_at)) == ({**mine, "channels": 4, "reserved_inbound": 1}, True)
    assert theirs.get(f"trunks/{trunk.public_id}").json() == shown
    assert theirs.get("trunks?metadata[team]=a").json()["data"] == []
    with tenant_scope(customer):
        trunks.revoke_grant(grant=TrunkGrant.objects.get())
    assert theirs.get(f"trunks/{trunk.public_id}").status_code == 404


@pytest.mark.parametrize(("method", "below"), [("patch", ""), ("delete", ""), ("post", "/stop"), ("post", "/resume")])
def test_a_customer_changes_nothing_of_its_agency(
    make_api: Callable[..., ApiClient], trunk: SipTrunk, customer: Tenant, method: str, below: str
) -> None:
    before = SipTrunk.all_objects.values().get()
    response = make_api(customer).send(method, f"trunks/{trunk.public_id}{below}", {"reason": "Mine"})
    assert refusal(response)[:2] == (403, "owned_by_agency")
    assert SipTrunk.all_objects.values().get() == before


def test_a_trunk_customers_use_is_not_retired(api: ApiClient, trunk: SipTrunk, customer: Tenant) -> None:
    assert "Customers use" in api.delete(f"trunks/{trunk.public_id}").json()["detail"]


def test_trunks_are_found_by_what_they_are(api: ApiClient, trunk: SipTrunk) -> None:
    api.post("trunks", {**NEW, "name": "Second"})

    def found(query: str) -> list[str]:
        return [row["name"] for row in api.get(f"trunks?{query}").json()["data"]]

    assert found("") == ["Second", "Main"]
    assert (found("carrier=vonage"), found("metadata[team]=a"), found("stopped=true")) == (["Second"], ["Main"], [])
    assert refusal(api.get("trunks?address=x"))[2] == {"address"}


def test_carriers_are_told_with_what_a_trunk_begins_with(api: ApiClient) -> None:
    shown = {entry["carrier"]: entry for entry in api.get("carriers").json()["data"]}
    assert set(shown) == set(PRESETS)
    assert (shown["vonage"]["name"], shown["vonage"]["sells_numbers"]) == ("Vonage", True)
    assert "API key" in shown["vonage"]["help"]


@pytest.mark.parametrize(("role", "writes"), [("viewer", False), ("operator", False), ("admin", True), ("owner", True)])
def test_who_may_change_trunks_and_numbers(role: str, writes: bool) -> None:
    scopes = ROLE_SCOPES[role]
    assert {"trunks:read", "numbers:read"} <= scopes
    assert ({"trunks:write", "numbers:write"} <= scopes) == writes
