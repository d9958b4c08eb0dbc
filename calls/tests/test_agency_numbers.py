"""An agency's carrier account, and the numbers of its customers: they come by it, and nobody else's do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from calls.errors import NumberTakenError
from calls.models import CarrierAccount, PhoneNumber
from calls.services import carrier_numbers
from calls.services.numbers import release_number
from calls.testing import make_account, make_number
from tenants.models import AuditEvent, Tenant
from tenants.scope import tenant_scope
from tests.fakes.vonage_server import KEY, VonageServer

PHONE, MSISDN = "+12125550123", "12125550123"
HERE = f"sip:{MSISDN}@example.sip.livekit.cloud;transport=tcp"
FORMER = {"app_id": "app-1", "voiceCallbackType": "tel", "voiceCallbackValue": "4930901820"}
ACTS = ("link_number", "unlink_number")


@dataclass
class House:
    """An agency with an account, one customer, and strangers: another agency's customer, and a tenant of its own."""

    agency: Tenant
    account: CarrierAccount
    customer: Tenant
    strangers: list[Tenant]

    def numbered(self, tenant: Tenant) -> PhoneNumber:
        """PHONE, which routes for `tenant`, and which the account has at the carrier."""
        with tenant_scope(tenant):
            made: PhoneNumber = make_number(phone=PHONE)
            return made


@pytest.fixture
def house(make_tenant: Callable[..., Tenant]) -> House:
    agency, other = make_tenant(), make_tenant()
    strangers = [other, make_tenant(agency=other)]
    customer = make_tenant(agency=agency)
    with tenant_scope(agency):
        return House(agency, make_account(), customer, strangers)


def leads_to(vonage: VonageServer) -> str:
    return str(vonage.owned[KEY][MSISDN].get("voiceCallbackValue", ""))


def kept(number: PhoneNumber) -> Any:
    return PhoneNumber.all_objects.get(pk=number.pk).callbacks_before


def test_a_customers_number_is_linked_and_put_back(house: House, vonage: VonageServer) -> None:
    number = house.numbered(house.customer)
    vonage.give(MSISDN, **FORMER)
    with tenant_scope(house.agency):
        told = carrier_numbers.link(account=house.account, phone=PHONE, dry_run=True)
        assert (told.row, kept(number), leads_to(vonage)) == (number, None, "4930901820")
        done = carrier_numbers.link(account=house.account, phone=PHONE, reason="they moved to us")
        assert (done.row, leads_to(vonage), kept(number)["voice_value"]) == (number, HERE, "4930901820")
        _, owned = carrier_numbers.list_owned(account=house.account)
        assert [(each.row, each.is_linked) for each in owned] == [(number, True)]
        carrier_numbers.unlink(account=house.account, phone=PHONE)
        assert (leads_to(vonage), kept(number)) == ("4930901820", None)
        events = AuditEvent.objects.filter(action__startswith="number.").order_by("id")
        ids = {"account": str(house.account.pk), "customer": str(house.customer.pk)}
        found = [(event.action, event.target_id, event.data) for event in events]
        assert found == [("number.linked", number.pk, ids), ("number.unlinked", number.pk, ids)]


@pytest.mark.parametrize("whose", [0, 1])
def test_a_strangers_number_is_neither_linked_nor_unlinked(house: House, vonage: VonageServer, whose: int) -> None:
    number = house.numbered(house.strangers[whose])
    vonage.give(MSISDN, **FORMER)
    before = dict(vonage.owned[KEY][MSISDN])
    with tenant_scope(house.agency):
        for act in (carrier_numbers.link, carrier_numbers.unlink):
            for dry_run in (True, False):
                with pytest.raises(NumberTakenError):
                    act(account=house.account, phone=PHONE, dry_run=dry_run)
        _, owned = carrier_numbers.list_owned(account=house.account)
        assert [each.row for each in owned] == [None]
        assert not AuditEvent.objects.filter(action__startswith="number.").exists()
    assert (vonage.owned[KEY][MSISDN], kept(number)) == (before, None)


def test_a_customers_account_does_not_lead_its_agencys_number(house: House, vonage: VonageServer) -> None:
    house.numbered(house.agency)
    vonage.give(MSISDN, **FORMER)
    with tenant_scope(house.customer):
        account = make_account()
        for act in (carrier_numbers.link, carrier_numbers.unlink):
            with pytest.raises(NumberTakenError):
                act(account=account, phone=PHONE)
    assert leads_to(vonage) == "4930901820"


def test_what_a_stranger_kept_of_a_number_is_not_put_back(house: House, vonage: VonageServer) -> None:
    number = house.numbered(house.strangers[0])
    PhoneNumber.all_objects.update(callbacks_before={"voice_type": "tel", "voice_value": "666"})
    with tenant_scope(house.strangers[0]):
        release_number(number=number)
    vonage.give(MSISDN, voiceCallbackType="sip", voiceCallbackValue=HERE)
    with tenant_scope(house.agency):
        assert "nowhere" in carrier_numbers.unlink(account=house.account, phone=PHONE).steps[0]
    assert leads_to(vonage) == ""
    assert kept(number)


def test_the_api_links_for_customers_and_for_nobody_else(
    house: House, vonage: VonageServer, make_api: Callable[..., Any]
) -> None:
    number = house.numbered(house.customer)
    vonage.give(MSISDN, **FORMER)
    agency, customer, stranger = (
        make_api(tenant, livemode=True) for tenant in (house.agency, house.customer, house.strangers[0])
    )
    at = f"carrier_accounts/{house.account.public_id}"
    for act in ACTS:
        assert [each.post(f"{at}/{act}", {"phone": PHONE}).status_code for each in (customer, stranger)] == [404, 404]
        assert agency.post(f"{at}/{act}", {"phone": PHONE}).json()["number_id"] == number.public_id
    assert agency.get(f"{at}/owned_numbers").json()["data"][0]["number_id"] == number.public_id
    with tenant_scope(house.strangers[0]):
        theirs = make_account()
    for act in ACTS:
        refused = stranger.post(f"carrier_accounts/{theirs.public_id}/{act}", {"phone": PHONE})
        assert (refused.status_code, refused.json()["code"]) == (409, "number_taken")
    held = agency.post(f"{at}/release_number", {"phone": PHONE, "also_here": True})
    assert (held.status_code, held.json()["code"]) == (409, "in_use")
