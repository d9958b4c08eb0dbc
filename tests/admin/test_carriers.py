"""Staff enter carrier accounts, and see, buy, lead and give back numbers there, with a reason."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from calls.models import CarrierAccount, PhoneNumber
from calls.services.trunks import retire_trunk
from calls.testing import make_account, make_number, make_trunk
from tenants.models import AuditEvent, Tenant
from tenants.scope import tenant_scope
from tests.fakes.vonage_server import KEY, SECRET, VonageServer

DIGITS = "12125550123"
RIGHTS = ("view_carrieraccount", "change_carrieraccount")
FORM = {"name": "Vonage", "carrier": "vonage", "api_key": KEY, "new_secret": SECRET}


@pytest.fixture
def account(tenant: Tenant) -> CarrierAccount:
    with tenant_scope(tenant):
        return make_account()


def url(name: str, account: CarrierAccount) -> str:
    return reverse(f"admin:calls_carrieraccount_{name}", args=[account.pk])


def act(client: Client, account: CarrierAccount, name: str, query: str = "", **sent: str) -> Any:
    path = reverse("admin:calls_carrieraccount_number_act", args=[account.pk, DIGITS, name])
    return client.post(path + query, {"reason": "asked for"} | sent, follow=True)


def said(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def test_a_secret_is_entered_kept_changed_and_never_shown(root_of: Callable[[Tenant], Client], tenant: Tenant) -> None:
    client = root_of(tenant)
    assert client.post(reverse("admin:calls_carrieraccount_add"), FORM).status_code == 302
    account = CarrierAccount.all_objects.get()
    assert (account.tenant, account.api_secret.reveal()) == (tenant, SECRET)
    assert client.post(url("change", account), {**FORM, "name": "Main", "new_secret": ""}).status_code == 302
    account = CarrierAccount.all_objects.get()
    assert (account.name, account.api_secret.reveal()) == ("Main", SECRET)
    assert client.post(url("change", account), {**FORM, "new_secret": "fresh-secret"}).status_code == 302
    account = CarrierAccount.all_objects.get()
    assert account.api_secret.reveal() == "fresh-secret"
    assert "fresh-secret" not in client.get(url("change", account)).content.decode()
    again = client.post(reverse("admin:calls_carrieraccount_add"), FORM)
    assert "another one with this name" in again.content.decode()
    assert CarrierAccount.all_objects.count() == 1


def test_an_account_is_deleted_unless_a_trunk_needs_it(root_of: Callable[[Tenant], Client], account: CarrierAccount) -> None:
    client = root_of(account.tenant)
    with tenant_scope(account.tenant):
        trunk = make_trunk(account=account)
    assert client.get(url("delete", account)).status_code == 200
    assert "belongs to a trunk" in said(client.post(url("delete", account), {"post": "yes"}, follow=True))
    assert CarrierAccount.all_objects.exists()
    with tenant_scope(account.tenant):
        retire_trunk(trunk=trunk)
    client.post(url("delete", account), {"post": "yes"})
    assert not CarrierAccount.all_objects.exists()


def test_numbers_are_searched_bought_led_here_and_given_back(
    staff: Callable[..., Client], account: CarrierAccount, vonage: VonageServer
) -> None:
    with tenant_scope(account.tenant):
        grant = make_trunk().grants.get()
    client = staff(account.tenant, *RIGHTS)
    vonage.offer(DIGITS)
    found = client.get(url("numbers", account), {"country": "us", "pattern": "1212", "match": "starts", "type": ""})
    assert f"{DIGITS}/buy/?country=US" in found.content.decode()
    assert "0.90 EUR" in found.content.decode()
    assert "Choose the trunk" in said(act(client, account, "buy", "?country=US"))
    assert "say why" in said(act(client, account, "buy", "?country=US", grant=str(grant.pk), reason=""))
    assert vonage.owned[KEY] == {}
    assert "Done: Buy" in said(act(client, account, "buy", "?country=US", grant=str(grant.pk)))
    assert f"{DIGITS}/link/" in client.get(url("numbers", account)).content.decode()
    assert "Done: Send calls" in said(act(client, account, "link"))
    assert f"{DIGITS}/unlink/" in client.get(url("numbers", account)).content.decode()
    assert "Done: Send calls" in said(act(client, account, "unlink"))
    assert "Done: Release" in said(act(client, account, "release"))
    assert vonage.owned[KEY] == {}
    assert PhoneNumber.all_objects.get().released_at is not None
    told = AuditEvent.all_objects.filter(reason="asked for").order_by("id").values_list("action", flat=True)
    actions = [
        "carrier_account.buys",
        "number.bought",
        "number.linked",
        "number.unlinked",
        "number.released",
        "number.given_back",
    ]
    assert list(told) == actions


def test_a_carrier_that_does_not_answer_is_told(root: Client, account: CarrierAccount, vonage: VonageServer) -> None:
    vonage.answers = [(401, {}, b"{}")] * 3
    assert "API key and secret" in root.get(url("numbers", account)).content.decode()
    assert "API key and secret" in said(act(root, account, "release"))
    assert "It did not work the last time" in root.get(url("change", account)).content.decode()
    assert "None found" in root.get(url("numbers", account), {"country": "US", "match": "ends"}).content.decode()
    page = root.get(url("numbers", account), {"country": "X", "match": "ends", "pattern": "*"}).content.decode()
    assert "Digits only" in page
    assert act(root, account, "explode").status_code == 404


def test_readers_and_strangers_change_nothing(
    staff: Callable[..., Client], account: CarrierAccount, other_tenant: Tenant, vonage: VonageServer
) -> None:
    vonage.give(DIGITS)
    nobody, stranger = staff(account.tenant), staff(other_tenant, *RIGHTS)
    reader = staff(account.tenant, "view_carrieraccount")
    for name in ("buy", "link", "unlink", "release"):
        assert [act(each, account, name).status_code for each in (nobody, reader, stranger)] == [403, 403, 404]
    for name in ("change", "numbers"):
        assert [each.get(url(name, account)).status_code for each in (nobody, stranger)] == [403, 404]
    assert list(vonage.owned[KEY]) == [DIGITS]
    assert vonage.requests == []
    assert reader.get(url("change", account)).status_code == 200
    page = reader.get(url("numbers", account)).content.decode()
    assert f"+{DIGITS}" in page
    assert "/release/" not in page


def test_staff_of_an_agency_lead_a_customers_number_and_no_strangers(
    staff: Callable[..., Client], account: CarrierAccount, make_tenant: Callable[..., Tenant], vonage: VonageServer
) -> None:
    customer, stranger = make_tenant(name="Oak Bikes", agency=account.tenant), make_tenant(name="Elm Bikes")
    for tenant, phone in ((customer, f"+{DIGITS}"), (stranger, "+12125550188")):
        vonage.give(phone.removeprefix("+"))
        with tenant_scope(tenant):
            make_number(phone=phone)
    client = staff(account.tenant, *RIGHTS)
    page = client.get(url("numbers", account)).content.decode()
    assert ("number of Oak Bikes" in page, f"{DIGITS}/link/" in page) == (True, True)
    assert ("Elm Bikes" in page, "12125550188/link/" in page) == (False, False)
    assert "Done: Send calls" in said(act(client, account, "link"))
    assert "Done: Send calls" in said(act(client, account, "unlink"))
    taken = reverse("admin:calls_carrieraccount_number_act", args=[account.pk, "12125550188", "link"])
    assert "routes to somebody already" in said(client.post(taken, {"reason": "x"}, follow=True))
    assert vonage.owned[KEY]["12125550188"].get("voiceCallbackValue") is None
