"""Carrier accounts and their numbers through the API: owner, member without the scope, stranger."""

from collections.abc import Callable
from typing import Any

import pytest

from calls.models import CarrierAccount, PhoneNumber, SipTrunk, TrunkGrant
from calls.testing import make_account, make_number, make_trunk
from tenants.models import AuditEvent, Tenant
from tenants.roles import ROLE_SCOPES
from tenants.scope import tenant_scope
from tests.fakes.vonage_server import KEY, SECRET, VonageServer
from voiceplatform.lib.ids import to_public_id

PHONE, MSISDN = "+12125550123", "12125550123"
ACCOUNT = {"name": "Vonage", "carrier": "vonage", "api_key": KEY, "api_secret": SECRET}
ACTS = ("buy_number", "release_number", "link_number", "unlink_number")
SCOPES = {"trunks:read", "trunks:write", "numbers:read", "numbers:write"}


def trunk_id(grant: TrunkGrant) -> str:
    return to_public_id(SipTrunk.public_prefix, grant.trunk_id)


@pytest.fixture
def account(within: Callable[..., Any]) -> CarrierAccount:
    made: CarrierAccount = within(make_account)
    return made


@pytest.fixture
def live(make_api: Callable[..., Any], tenant: Tenant) -> Any:
    """The API with a live key of `tenant`."""
    return make_api(tenant, livemode=True)


@pytest.fixture
def grant(within: Callable[..., Any]) -> TrunkGrant:
    trunk = within(make_trunk)
    made: TrunkGrant = within(trunk.grants.get)
    return made


def path(account: CarrierAccount, below: str) -> str:
    return f"carrier_accounts/{account.public_id}/{below}"


def params(response: Any) -> set[str]:
    return {error["param"] for error in response.json()["errors"]}


def test_an_account_is_created_changed_and_deleted_and_never_shows_its_secret(api: Any, tenant: Tenant) -> None:
    made = api.post("carrier_accounts", ACCOUNT)
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["name"], body["has_api_secret"], body["checked_at"], body["check_error"]) == ("Vonage", True, None, "")
    at = f"carrier_accounts/{body['id']}"
    assert api.get(at).json() == body
    assert api.get("carrier_accounts").json()["data"] == [body]
    changed = api.patch(at, {"name": "Main"}, headers={"If-Match": made["ETag"]})
    assert changed.json() == {**body, "name": "Main"}
    assert api.patch(at, {"name": "Late"}, headers={"If-Match": made["ETag"]}).status_code == 412
    assert SECRET not in f"{made.content!r}{changed.content!r}"
    with tenant_scope(tenant):
        assert CarrierAccount.objects.get().api_secret.reveal() == SECRET
        assert SECRET not in str(list(AuditEvent.objects.values()))
    assert api.patch(at, {"api_secret": None}).json()["has_api_secret"] is False
    assert api.delete(at).status_code == 204
    assert api.get(at).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"carrier": "pigeon"}, "carrier"),
        ({"api_secret": ""}, "api_secret"),
        ({"checked_at": "2026-01-01T00:00:00Z"}, "checked_at"),
        ({"secret": "x"}, "secret"),
    ],
)
def test_an_account_that_does_not_fit_is_refused_by_field(api: Any, tenant: Tenant, change: dict[str, Any], field: str) -> None:
    response = api.post("carrier_accounts", {**ACCOUNT, **change})
    assert (response.status_code, params(response)) == (400, {field})
    with tenant_scope(tenant):
        assert not CarrierAccount.objects.exists()


def test_a_name_is_given_once_and_an_account_in_use_stays(api: Any, within: Callable[..., Any], account: CarrierAccount) -> None:
    twice = api.post("carrier_accounts", {**ACCOUNT, "name": account.name})
    assert (twice.status_code, twice.json()["code"], params(twice)) == (409, "name_taken", {"name"})
    within(make_trunk, account=account)
    kept = api.delete(f"carrier_accounts/{account.public_id}")
    assert (kept.status_code, kept.json()["code"]) == (409, "in_use")


def test_a_test_key_changes_nothing_at_a_carrier(
    api: Any, within: Callable[..., Any], account: CarrierAccount, grant: TrunkGrant, vonage: VonageServer
) -> None:
    number = within(make_number, phone="+12125550124")
    vonage.offer(MSISDN)
    vonage.give("12125550124")
    sent: dict[str, dict[str, Any]] = {act: {"phone": number.phone} for act in ACTS}
    sent["buy_number"] = {"phone": PHONE, "trunk_id": trunk_id(grant)}
    sent["release_number"] |= {"also_here": True}
    owned = dict(vonage.owned[KEY])
    for act, body in sent.items():
        assert api.post(path(account, act), {**body, "dry_run": True}).json()["dry_run"] is True
        looked = len(vonage.requests)
        refused = api.post(path(account, act), body)
        assert (refused.status_code, refused.json()["code"]) == (403, "live_key_needed")
        assert "live key" in refused.json()["detail"]
        assert len(vonage.requests) == looked
    assert vonage.owned[KEY] == owned
    assert within(lambda: list(PhoneNumber.objects.values_list("released_at", "callbacks_before"))) == [(None, None)]


def test_a_number_is_found_bought_linked_and_given_back(
    live: Any, within: Callable[..., Any], account: CarrierAccount, grant: TrunkGrant, vonage: VonageServer
) -> None:
    vonage.offer(MSISDN, "12125550124", "13125550123")
    found = live.get(path(account, "available_numbers?country=US&pattern=1212&limit=1")).json()
    assert found["data"] == [
        {
            "phone": PHONE, "country": "US", "type": "landline", "features": ["sms", "voice"], "monthly_cost": "0.90",
            "currency": "EUR",
        }
    ]  # fmt: skip
    assert [row["phone"] for row in live.get(found["next"].partition("/v1/")[2]).json()["data"]] == ["+12125550124"]
    wanted = {"phone": "+1 212 555 0123", "trunk_id": trunk_id(grant), "label": "Main line"}
    told = live.post(path(account, "buy_number"), {**wanted, "dry_run": True}).json()
    assert (told["dry_run"], told["number_id"], len(told["steps"]), vonage.owned[KEY]) == (True, None, 2, {})
    bought, again = (live.post(path(account, "buy_number"), wanted) for _ in range(2))
    row = within(PhoneNumber.objects.get)
    assert [answer.json()["number_id"] for answer in (bought, again)] == [row.public_id] * 2
    assert bought.json()["steps"][1:] == told["steps"][1:]
    assert live.post(path(account, "link_number"), {"phone": PHONE}).status_code == 200
    owned = live.get(path(account, "owned_numbers")).json()
    assert (owned["has_more"], owned["next"]) == (False, None)
    assert [(each["phone"], each["linked"], each["number_id"]) for each in owned["data"]] == [(PHONE, True, row.public_id)]
    assert "example.sip.livekit.cloud" in owned["data"][0]["leads_to"]
    assert live.post(path(account, "unlink_number"), {"phone": PHONE}).json()["number_id"] == row.public_id
    held = live.post(path(account, "release_number"), {"phone": PHONE})
    assert (held.status_code, held.json()["code"]) == (409, "in_use")
    assert live.post(path(account, "release_number"), {"phone": PHONE, "also_here": True, "reason": "moved"}).status_code == 200
    assert vonage.owned[KEY] == {}
    assert len(vonage.asked("/number/buy")) == 1
    assert live.get(f"carrier_accounts/{account.public_id}").json()["checked_at"] is not None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("available_numbers?country=XX", "country"),
        ("available_numbers?country=us", "country"),
        ("available_numbers?pattern=*", "pattern"),
        ("available_numbers?match=middle", "match"),
        ("available_numbers?type=satellite", "type"),
        ("available_numbers?feature=fax", "feature"),
        ("owned_numbers?page=0", "page"),
        ("owned_numbers?limit=51", "limit"),
        ("owned_numbers?country=US", "country"),
    ],
)
def test_a_search_that_does_not_fit_is_refused_by_name(
    api: Any, account: CarrierAccount, vonage: VonageServer, query: str, field: str
) -> None:
    response = api.get(path(account, query))
    assert (response.status_code, params(response)) == (400, {field})
    assert vonage.requests == []


@pytest.mark.parametrize(
    ("answer", "status", "code", "waits"),
    [
        ((401, {}, b"{}"), 409, "carrier_credentials", None),
        ((402, {}, b"{}"), 409, "carrier_balance", None),
        ((429, {"Retry-After": "9"}, b""), 503, "carrier_throttled", "9"),
        ((500, {}, b""), 503, "carrier_unavailable", "60"),
        ((400, {}, b'{"pattern": "Is wrong."}'), 409, "carrier_refused", None),
    ],
)
def test_what_the_carrier_refuses_has_a_code_and_a_fix(
    api: Any, account: CarrierAccount, vonage: VonageServer, answer: Any, status: int, code: str, waits: str | None
) -> None:
    vonage.answers = [answer]
    response = api.get(path(account, "owned_numbers"))
    assert (response.status_code, response.json()["code"], response.get("Retry-After")) == (status, code, waits)
    assert response.json()["detail"].endswith(".")


def test_what_cannot_be_done_here_has_a_code(
    live: Any, within: Callable[..., Any], grant: TrunkGrant, account: CarrierAccount, vonage: VonageServer, settings: Any
) -> None:
    twilio = within(make_account, carrier="twilio")
    within(make_number, phone="+12125550188")
    vonage.give(MSISDN)
    assert live.get(path(twilio, "owned_numbers")).json()["code"] == "carrier_not_managed"
    assert live.post(path(account, "link_number"), {"phone": PHONE}).json()["code"] == "number_not_here"
    assert live.post(path(account, "link_number"), {"phone": "+12125550188"}).json()["code"] == "number_not_owned"
    assert live.post(path(account, "buy_number"), {"phone": "+1212"}).status_code == 400
    settings.LIVEKIT_SIP_HOST = ""
    assert live.post(path(account, "unlink_number"), {"phone": PHONE}).json()["code"] == "inbound_not_configured"


def test_members_without_the_scope_and_strangers_reach_no_carrier(
    make_api: Callable[..., Any], stranger: Any, tenant: Tenant, grant: TrunkGrant, account: CarrierAccount, vonage: VonageServer
) -> None:
    vonage.offer(MSISDN)
    viewer = make_api(tenant, scopes=ROLE_SCOPES["viewer"])
    body = {"phone": PHONE, "trunk_id": trunk_id(grant)}
    assert viewer.post("carrier_accounts", ACCOUNT).status_code == 403
    for act in ACTS:
        sent = body if act == "buy_number" else {"phone": PHONE}
        assert [each.post(path(account, act), sent).status_code for each in (viewer, stranger)] == [403, 404]
    assert [stranger.get(path(account, name)).status_code for name in ("owned_numbers", "available_numbers")] == [404, 404]
    assert vonage.requests == []
    assert viewer.get(path(account, "owned_numbers")).status_code == 200


def test_roles_read_with_calls_and_only_those_who_administer_write() -> None:
    for role, scopes in ROLE_SCOPES.items():
        writes = role in ("admin", "owner")
        assert scopes & SCOPES == (SCOPES if writes else {"trunks:read", "numbers:read"}), role
