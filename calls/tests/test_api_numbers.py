"""Telephone numbers through the API: owner, customer of an agency, stranger."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from agents.models import Agent
from agents.services import archive_agent
from calls.models import Call, Leg, PhoneNumber, SipTrunk
from calls.services import numbers, trunks
from calls.testing import make_call, make_number, make_trunk
from conftest import ApiClient
from tenants.models import AuditEvent, Tenant
from tenants.scope import tenant_scope

PHONE = "+12025550177"
HOOK = "https://hooks.example.com/in"
HOURS = [{"weekdays": [1, 2], "starts_at": "09:00", "ends_at": "17:30"}]


NIGHTS = [
    {"weekdays": [5, 6], "starts_at": "22:00", "ends_at": "02:00"},
    {"weekdays": [7], "starts_at": "18:00", "ends_at": "24:00"},
]


def refusal(response: Any) -> tuple[int, str, set[str]]:
    body = response.json()
    return response.status_code, body["code"], {error["param"] for error in body["errors"]}


@pytest.fixture
def trunk(within: Callable[..., Any]) -> SipTrunk:
    made: SipTrunk = within(make_trunk)
    return made


@pytest.fixture
def number(within: Callable[..., Any], trunk: SipTrunk) -> PhoneNumber:
    made: PhoneNumber = within(make_number, trunk=trunk, phone=PHONE)
    return made


@pytest.fixture
def new(trunk: SipTrunk) -> dict[str, Any]:
    return {"phone": "+1 (202) 555-0177", "trunk_id": trunk.public_id}


def test_hours_last_until_midnight_and_over_it(api: ApiClient, number: PhoneNumber) -> None:
    at = f"numbers/{number.public_id}"
    assert api.patch(at, {"hours": NIGHTS}).json()["hours"] == NIGHTS
    assert api.get(at).json()["hours"] == NIGHTS
    midnight = [{**NIGHTS[1], "ends_at": "00:00"}]
    assert api.patch(at, {"hours": midnight}).json()["hours"] == [NIGHTS[1]]


def test_a_number_is_added_read_and_changed(api: ApiClient, new: dict[str, Any], agent: Agent) -> None:
    made = api.post("numbers", {**new, "agent_id": agent.public_id, "hours": HOURS, "metadata": {"site": "x"}})
    assert made.status_code == 201, made.content
    body = made.json()
    assert body.pop("hook_secret") is None
    assert (body["phone"], body["trunk_id"], body["agent_id"]) == (PHONE, new["trunk_id"], agent.public_id)
    assert (body["hours"], body["closed_action"], body["closed_agent_id"], body["synced_at"]) == (HOURS, "agent", None, None)
    read = api.get(f"numbers/{body['id']}")
    assert (read.json(), read["ETag"]) == (body, made["ETag"])
    changes = {"agent_id": None, "closed_action": "sentence", "closed_sentence": "Closed."}
    changed = api.patch(f"numbers/{body['id']}", changes, headers={"If-Match": read["ETag"]})
    assert changed.json() == {**body, **changes, "hook_secret": None}
    assert refusal(api.patch(f"numbers/{body['id']}", {"label": "x"}, headers={"If-Match": read["ETag"]}))[0] == 412
    assert AuditEvent.all_objects.get(action="number.changed").fields == ["agent", "closed_action", "closed_sentence"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"phone": "12"}, "phone"),
        ({"phone": "+15550001"}, "phone"),
        ({"trunk_id": "trk_00000000000000000000000000"}, "trunk_id"),
        ({"trunk_id": None}, "trunk_id"),
        ({"agent_id": "agt_00000000000000000000000000"}, "agent_id"),
        ({"closed_action": "other_agent"}, "closed_agent_id"),
        ({"closed_action": "forward"}, "closed_forward_to"),
        ({"closed_action": "sentence"}, "closed_sentence"),
        ({"closed_forward_to": PHONE}, "closed_forward_to"),
        ({"hours": [{"weekdays": [8], "starts_at": "09:00", "ends_at": "17:00"}]}, "hours.0.weekdays.0"),
        ({"hours": [{"weekdays": [1], "starts_at": "17:00", "ends_at": "17:00"}]}, "hours"),
        ({"hours": [{"weekdays": [1], "starts_at": "24:00", "ends_at": "09:00"}]}, "hours.0.starts_at"),
        ({"hours": [{"weekdays": [1], "starts_at": "09:00", "ends_at": "24:01"}]}, "hours.0.ends_at"),
        ({"hours": HOURS * 51}, "hours"),
        ({"hours": "always"}, "hours"),
        ({"timezone": "Mars"}, "timezone"),
        ({"hook_url": "http://169.254.169.254/"}, "hook_url"),
        ({"hook_secret": "whsec_mine"}, "hook_secret"),
        ({"grant": "x"}, "grant"),
    ],
)
def test_a_number_that_does_not_fit_is_refused_by_field(
    api: ApiClient, new: dict[str, Any], fields: dict[str, Any], param: str
) -> None:
    assert refusal(api.post("numbers", {**new, **fields})) == (400, "invalid", {param})
    assert not PhoneNumber.all_objects.exists()


def test_an_archived_agent_answers_nothing(api: ApiClient, within: Any, number: PhoneNumber, agent: Agent) -> None:
    within(archive_agent, agent=agent)
    refused = api.patch(f"numbers/{number.public_id}", {"agent_id": agent.public_id})
    assert refusal(refused) == (400, "invalid", {"agent_id"})


def test_a_stranger_s_rows_are_as_missing_ones(
    stranger: ApiClient, other_tenant: Tenant, trunk: SipTrunk, number: PhoneNumber, agent: Agent
) -> None:
    with tenant_scope(other_tenant):
        theirs = make_number().public_id
    for changes in ({"trunk_id": trunk.public_id}, {"agent_id": agent.public_id}, {"closed_agent_id": agent.public_id}):
        assert refusal(stranger.patch(f"numbers/{theirs}", changes)) == (400, "invalid", set(changes))


def test_a_number_routes_once(api: ApiClient, stranger: ApiClient, other_tenant: Tenant, number: PhoneNumber) -> None:
    with tenant_scope(other_tenant):
        body = {"phone": PHONE, "trunk_id": make_trunk().public_id}
    assert refusal(stranger.post("numbers", body)) == (409, "number_taken", {"phone"})
    assert api.delete(f"numbers/{number.public_id}").status_code == 204
    assert api.get(f"numbers/{number.public_id}").json()["released_at"] is not None
    assert refusal(api.patch(f"numbers/{number.public_id}", {"label": "x"})) == (400, "invalid", {"phone"})
    assert stranger.post("numbers", body).status_code == 201


def test_the_number_itself_stays(api: ApiClient, number: PhoneNumber) -> None:
    path = f"numbers/{number.public_id}"
    assert api.patch(path, {"phone": "+1 202 555 0177"}).status_code == 200
    assert refusal(api.patch(path, {"phone": "+12025550178"})) == (400, "invalid", {"phone"})


def test_the_secret_of_a_hook_is_shown_when_it_is_new(api: ApiClient, within: Any, number: PhoneNumber) -> None:
    path = f"numbers/{number.public_id}"
    first = api.patch(path, {"hook_url": HOOK}).json()["hook_secret"]
    assert within(PhoneNumber.objects.get).hook_secret.reveal() == first
    assert api.patch(path, {"hook_url": f"{HOOK}/2"}).json()["hook_secret"] is None
    assert first not in (api.get(path).content + api.get("numbers").content).decode()
    second = api.post(f"{path}/rotate_hook_secret").json()["hook_secret"]
    assert second.startswith("whsec_")
    assert second != first
    assert within(PhoneNumber.objects.get).hook_secret.reveal() == second


def test_a_number_that_begins_with_a_hook_has_a_secret(api: ApiClient, new: dict[str, Any]) -> None:
    assert api.post("numbers", {**new, "hook_url": HOOK}).json()["hook_secret"].startswith("whsec_")


def test_a_customer_adds_a_number_of_its_agency_s_trunk(
    make_api: Callable[..., ApiClient], make_tenant: Callable[..., Tenant], tenant: Tenant, new: dict[str, Any], trunk: SipTrunk
) -> None:
    customer = make_tenant(agency=tenant)
    theirs = make_api(customer)
    assert refusal(theirs.post("numbers", new)) == (400, "invalid", {"trunk_id"})
    with tenant_scope(customer):
        trunks.grant_trunk(trunk=trunk, channels=2)
    assert theirs.post("numbers", new).json()["trunk_id"] == trunk.public_id


def test_numbers_are_found_by_what_they_are(api: ApiClient, within: Any, number: PhoneNumber, agent: Agent) -> None:
    other = within(make_number, agent=agent, metadata={"site": "x"})
    within(numbers.release_number, number=number)

    def found(query: str) -> list[str]:
        return [row["phone"] for row in api.get(f"numbers?{query}").json()["data"]]

    assert found("") == [other.phone, PHONE]
    assert found("phone=%2B12025550177") == found("released=true") == found(f"trunk_id={number.grant.trunk.public_id}") == [PHONE]
    assert found(f"agent_id={agent.public_id}") == found("released=false") == found("metadata[site]=x") == [other.phone]
    assert refusal(api.get("numbers?trunk_id=x"))[2] == {"trunk_id"}
    assert refusal(api.get("numbers?colour=red"))[2] == {"colour"}


def test_a_call_tells_its_phones(api: ApiClient, within: Any, number: PhoneNumber) -> None:
    def inbound() -> Call:
        call = make_call(status="in_progress")
        now = timezone.now()
        Call.objects.filter(pk=call.pk).update(phone="+12125550123", number=number, answered_by="human")
        Leg.objects.create(call=call, role="caller", identity="sip_1", phone="+12125550123", carrier_id="SCL_1", started_at=now)
        return call

    call = within(inbound)
    within(make_call)
    for query in ("phone=%2B12125550123", f"number_id={number.public_id}"):
        [shown] = api.get(f"calls?{query}").json()["data"]
        assert (shown["id"], shown["phone"], shown["number_id"]) == (call.public_id, "+12125550123", number.public_id)
    [leg] = shown["legs"]
    assert (shown["answered_by"], leg["role"], leg["carrier_id"], leg["end_reason"]) == ("human", "caller", "SCL_1", None)
    plain = api.get(f"calls?number_id={PhoneNumber.public_prefix}_00000000000000000000000000").json()["data"]
    assert plain == []
