"""Trunks and numbers, as staff handle them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from agents.testing import make_agent
from calls.models import Leg, LineSlot, PhoneNumber, SipTrunk, TrunkGrant
from calls.services import numbers, trunks
from calls.testing import make_call, make_number, make_trunk
from tenants.models import AuditEvent, Tenant
from tenants.scope import tenant_scope

PHONE = "+12025550177"
TRUNK = {
    "name": "Main", "carrier": "vonage", "address": "sip.nexmo.com", "transport": "tcp", "auth_username": "us",
    "password": "s3cret", "allowed_addresses": "203.0.113.9/28\n", "cps": "3", "channels": "10",
    "billed_as": "acme", "billing_minimum_s": "30", "billing_step_s": "6",
}  # fmt: skip
NUMBER = {"phone": "+1 (202) 555-0177", "is_caller_id": "on", "closed_action": "agent", "hours-rows": "2"}
OPEN = {"hours-0-days": ["1", "2"], "hours-0-starts_at": "09:00", "hours-0-ends_at": "17:30"}
SPANS = [{"weekdays": [1, 2], "starts_at": "09:00", "ends_at": "17:30"}]
HOOK = "https://hooks.example.com/in"


def url(name: str, *args: object) -> str:
    return reverse(f"admin:calls_{name}", args=args)


@pytest.fixture
def trunk(tenant: Tenant) -> SipTrunk:
    with tenant_scope(tenant):
        return make_trunk(name="Main", channels=10)


@pytest.fixture
def agent(tenant: Tenant) -> Agent:
    with tenant_scope(tenant):
        return make_agent()


@pytest.fixture
def number(tenant: Tenant, trunk: SipTrunk, agent: Agent) -> PhoneNumber:
    with tenant_scope(tenant):
        return make_number(trunk=trunk, agent=agent, phone=PHONE)


@pytest.fixture
def client_of(root_of: Callable[[Tenant], Client], tenant: Tenant) -> Client:
    return root_of(tenant)


def text(response: Any) -> str:
    page: str = response.content.decode()
    return page


def test_a_trunk_is_added_and_changed_through_its_service(client_of: Client, tenant: Tenant) -> None:
    assert client_of.post(url("siptrunk_add"), TRUNK).status_code == 302
    row = SipTrunk.all_objects.get()
    assert (row.tenant, row.allowed_addresses, row.auth_password.reveal()) == (tenant, ["203.0.113.0/28"], "s3cret")
    assert (row.billed_as, row.billing_minimum_s, row.billing_step_s) == ("acme", 30, 6)
    page = url("siptrunk_change", row.pk)
    assert "s3cret" not in text(client_of.get(page))
    assert client_of.post(page, {**TRUNK, "password": "", "channels": "20"}).status_code == 302
    row.refresh_from_db()
    assert (row.channels, row.auth_password.reveal()) == (20, "s3cret")
    with tenant_scope(tenant):
        assert AuditEvent.objects.get(action="trunk.changed").fields == ["channels"]
    assert client_of.post(page, {**TRUNK, "password": "", "auth_username": ""}).status_code == 302
    row.refresh_from_db()
    assert row.auth_password is None


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"address": "sip:host.example.com"}, "Leave out sip:"),
        ({"allowed_addresses": "example.com"}, "is no address or network"),
        ({"auth_username": ""}, "A password needs a user name"),
        ({"name": "Main"}, "There is another one called Main"),
    ],
)
def test_a_trunk_the_service_refuses_is_shown_with_why(
    client_of: Client, trunk: SipTrunk, fields: dict[str, str], says: str
) -> None:
    page = client_of.post(url("siptrunk_add"), {**TRUNK, "name": "Second", **fields})
    assert page.status_code == 200
    assert says in text(page)
    assert fields[next(iter(fields))] in text(page)
    assert SipTrunk.all_objects.count() == 1


def test_a_new_trunk_begins_with_what_is_known_about_carriers(client_of: Client) -> None:
    page = text(client_of.get(url("siptrunk_add")))
    assert 'value="sip.nexmo.com"' in page
    assert "example.pstn.twilio.com" in page


def test_a_trunks_page_tells_its_lines(client_of: Client, tenant: Tenant, trunk: SipTrunk) -> None:
    with tenant_scope(tenant):
        grant = trunks.grant_trunk(trunk=trunk, channels=10, reserved_inbound=2)
        for _ in range(3):
            LineSlot.objects.create(grant=grant, call=make_call(), role="callee", created_at=timezone.now())
    assert "3 of 10 lines taken, 2 kept for inbound." in text(client_of.get(url("siptrunk_change", trunk.pk)))


def test_what_is_wrong_says_its_cause_and_what_to_do(client_of: Client, trunk: SipTrunk, number: PhoneNumber) -> None:
    cases = [
        ({"sync_error": "no such host"}, "not on the server", "no such host", "tried again by itself"),
        (
            {"drift": "address sip.other.example", "sync_error": ""},
            "changed elsewhere",
            "sip.other.example",
            "Change it here only",
        ),
        ({"drift": ""}, "on its way", "does not have it yet", "Celery worker"),
    ]
    for fields, *told in cases:
        for name, row in (("siptrunk", trunk), ("phonenumber", number)):
            type(row).all_objects.filter(pk=row.pk).update(**fields)
            page = text(client_of.get(url(f"{name}_change", row.pk)))
            assert all(words in page for words in told), (name, told)
            assert told[0] in text(client_of.get(url(f"{name}_changelist")))
    SipTrunk.all_objects.update(stopped_at=timezone.now(), stopped_reason="Bad credentials")
    assert "It places no calls: Bad credentials" in text(client_of.get(url("siptrunk_change", trunk.pk)))
    PhoneNumber.all_objects.update(agent=None, synced_at=timezone.now())
    assert "Choose an agent." in text(client_of.get(url("phonenumber_change", number.pk)))


def test_a_trunk_is_stopped_resumed_and_retired_with_a_reason(
    staff: Callable[..., Client], tenant: Tenant, trunk: SipTrunk, number: PhoneNumber
) -> None:
    reader, changer = (staff(tenant, "view_siptrunk", *more) for more in ((), ("change_siptrunk",)))
    retirer = staff(tenant, "view_siptrunk", "delete_siptrunk")

    def act(client: Client, name: str, reason: str = "because") -> SipTrunk:
        client.post(url(f"siptrunk_{name}", trunk.pk), {"reason": reason})
        trunk.refresh_from_db()
        return trunk

    assert act(reader, "stop").stopped_at is None
    assert act(changer, "stop", reason="").stopped_at is None
    assert act(changer, "stop").stopped_reason == "because"
    assert act(changer, "resume").stopped_at is None
    assert act(changer, "retire").retired_at is None
    assert act(retirer, "retire").retired_at is None, "a number uses it"
    assert PHONE in text(retirer.get(url("siptrunk_change", trunk.pk)))
    with tenant_scope(tenant):
        numbers.release_number(number=number)
    assert act(retirer, "retire").retired_at is not None
    assert changer.post(url("siptrunk_change", trunk.pk), TRUNK).status_code == 403
    assert text(reader.get(url("siptrunk_change", trunk.pk))).count("out of use") >= 1
    assert retirer.post(url("siptrunk_delete", trunk.pk), {"post": "yes"}).status_code == 403


def test_an_agency_grants_its_trunk_and_takes_it_back(
    client_of: Client, make_tenant: Callable[..., Tenant], tenant: Tenant, other_tenant: Tenant, trunk: SipTrunk
) -> None:
    customer = make_tenant(agency=tenant, name="Dental Care")
    page, grant, revoke = (url(f"siptrunk_{name}", trunk.pk) for name in ("change", "grant", "revoke"))
    data = {"channels": "4", "reserved_inbound": "1", "reason": "Ordered"}
    client_of.post(grant, {**data, "customer": str(other_tenant.pk)})
    assert not TrunkGrant.all_objects.filter(tenant=other_tenant).exists()
    assert "Dental Care has 4 lines of Main" in text(client_of.post(grant, {**data, "customer": str(customer.pk)}, follow=True))
    row = TrunkGrant.all_objects.get(tenant=customer)
    assert (row.owner, row.channels, row.reserved_inbound) == (tenant, 4, 1)
    refused = client_of.post(grant, {**data, "customer": str(customer.pk), "channels": "11"}, follow=True)
    assert "Main has 10 channels in all" in text(refused)
    assert "Dental Care" in text(client_of.get(page))
    with tenant_scope(customer):
        used = make_number(grant=row)
    assert used.phone in text(client_of.post(revoke, {"grant": str(row.pk), "reason": "Left"}, follow=True))
    with tenant_scope(customer):
        numbers.release_number(number=used)
    client_of.post(revoke, {"grant": str(row.pk), "reason": "Left"})
    row.refresh_from_db()
    assert row.revoked_at is not None
    own = TrunkGrant.all_objects.get(tenant=tenant)
    assert client_of.post(revoke, {"grant": str(own.pk), "reason": "x"}).status_code == 404
    with tenant_scope(tenant):
        assert AuditEvent.objects.get(action="trunk_grant.revoked").reason == "Left"


def test_a_number_is_added_and_changed_through_its_service(
    client_of: Client, tenant: Tenant, trunk: SipTrunk, agent: Agent
) -> None:
    with tenant_scope(tenant):
        grant = trunk.grants.get()
    data = {**NUMBER, **OPEN, "grant": str(grant.pk), "agent": str(agent.pk), "label": "Main line"}
    assert client_of.post(url("phonenumber_add"), data).status_code == 302
    row = PhoneNumber.all_objects.get()
    assert (row.phone, row.tenant, row.agent, row.hours) == (PHONE, tenant, agent, SPANS)
    page = url("phonenumber_change", row.pk)
    shown = text(client_of.get(page))
    assert 'value="09:00"' in shown
    assert "weekdays" not in shown
    assert "Mon Tue 09:00–17:30" in text(client_of.get(url("phonenumber_changelist")))
    nightly = {"hours-0-starts_at": "22:00", "hours-0-ends_at": "00:00"}
    for _ in range(2):
        assert client_of.post(page, {**data, **nightly}).status_code == 302
        assert 'value="00:00"' in text(client_of.get(page))
    assert "Mon Tue 22:00–24:00" in text(client_of.get(url("phonenumber_changelist")))
    with tenant_scope(tenant):
        assert AuditEvent.objects.get(action="number.changed").fields == ["hours"]
    closed = {"closed_action": "sentence", "closed_sentence": "Closed.", "hours-0-days": [], "hours-0-starts_at": ""}
    assert client_of.post(page, {**data, **closed, "hours-0-ends_at": ""}).status_code == 302
    row.refresh_from_db()
    assert (row.hours, row.closed_sentence) == ([], "Closed.")
    with tenant_scope(tenant):
        newest = AuditEvent.objects.filter(action="number.changed").order_by("-id").first()
        assert newest
        assert set(newest.fields) == {"hours", "closed_action", "closed_sentence"}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"closed_action": "sentence"}, "a sentence is spoken, then the call ends: say which."),
        ({"hours-0-starts_at": "17:30"}, "Span 1 must not end when it starts"),
        ({"hours-0-days": []}, "Row 1: choose its days."),
        ({"hours-0-ends_at": ""}, "Row 1: say from when until when."),
        ({"phone": PHONE}, "routes to somebody already"),
        ({"hook_url": "http://169.254.169.254/"}, "hook"),
        ({"grant": ""}, "This field is required"),
    ],
)
def test_a_number_the_service_refuses_is_shown_with_why(
    client_of: Client, tenant: Tenant, number: PhoneNumber, fields: dict[str, Any], says: str
) -> None:
    data = {**NUMBER, **OPEN, "phone": "+12025550178", "grant": str(number.grant_id), **fields}
    page = client_of.post(url("phonenumber_add"), data)
    assert page.status_code == 200
    assert says in text(page)
    assert PhoneNumber.all_objects.count() == 1


def test_the_secret_of_a_hook_is_shown_once(client_of: Client, tenant: Tenant, number: PhoneNumber) -> None:
    page = url("phonenumber_change", number.pk)
    data = {**NUMBER, "grant": str(number.grant_id), "hook_url": HOOK}
    first = client_of.post(page, data)
    with tenant_scope(tenant):
        secret = PhoneNumber.objects.get().hook_secret.reveal()
    assert (first.status_code, secret in text(first)) == (200, True)
    assert client_of.post(page, {**data, "label": "x"}).status_code == 302
    assert secret not in text(client_of.get(page))
    rotated = client_of.post(url("phonenumber_rotate", number.pk), {"reason": "Leaked"})
    with tenant_scope(tenant):
        newest = PhoneNumber.objects.get().hook_secret.reveal()
    assert (newest != secret, newest in text(rotated)) == (True, True)


def test_a_number_is_released_with_a_reason_by_those_who_may(
    staff: Callable[..., Client], tenant: Tenant, number: PhoneNumber
) -> None:
    changer, releaser = (staff(tenant, "view_phonenumber", right) for right in ("change_phonenumber", "delete_phonenumber"))
    release = url("phonenumber_release", number.pk)
    assert changer.post(release, {"reason": "x"}).status_code == 403
    releaser.post(release, {"reason": ""})
    number.refresh_from_db()
    assert number.released_at is None
    releaser.post(release, {"reason": "Given back"})
    number.refresh_from_db()
    assert number.released_at is not None
    assert changer.post(url("phonenumber_change", number.pk), NUMBER).status_code == 403


def test_without_a_trunk_a_number_cannot_be_added_yet(client_of: Client) -> None:
    assert "Add a trunk" in text(client_of.get(url("phonenumber_add")))
    assert "No numbers yet" in text(client_of.get(url("phonenumber_changelist")))
    assert "No trunks yet" in text(client_of.get(url("siptrunk_changelist")))


def test_another_tenants_trunks_and_numbers_are_not_there(
    staff: Callable[..., Client], other_tenant: Tenant, trunk: SipTrunk, number: PhoneNumber
) -> None:
    rights = [f"{what}_{model}" for what in ("view", "change", "delete") for model in ("siptrunk", "phonenumber")]
    client, before = staff(other_tenant, *rights), [SipTrunk.all_objects.values().get(), PhoneNumber.all_objects.values().get()]
    deeds = {"siptrunk": ("stop", "resume", "retire", "grant", "revoke"), "phonenumber": ("release", "rotate")}
    for model, row in (("siptrunk", trunk), ("phonenumber", number)):
        assert client.get(url(f"{model}_change", row.pk)).status_code == 404
        assert str(row.pk) not in text(client.get(url(f"{model}_changelist")))
        for deed in deeds[model]:
            assert client.post(url(f"{model}_{deed}", row.pk), {"reason": "x"}).status_code == 404
    assert [SipTrunk.all_objects.values().get(), PhoneNumber.all_objects.values().get()] == before


def test_a_call_shows_its_phones(root: Client, tenant: Tenant, number: PhoneNumber) -> None:
    with tenant_scope(tenant):
        call = make_call(status="ended")
        type(call).objects.filter(pk=call.pk).update(phone="+12125550123", number=number, room="in-7", answered_by="human")
        Leg.objects.create(
            call=call, role="caller", identity="sip_1", phone="+12125550123", carrier_id="SCL_1", started_at=timezone.now()
        )
    page = text(root.get(url("call_change", call.pk)))
    for told in ("+12125550123", PHONE, "in-7", "SCL_1", "a person", url("phonenumber_change", number.pk)):
        assert told in page
