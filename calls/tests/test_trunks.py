"""Trunks, who may use them, numbers and lines."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from agents.testing import make_agent
from calls import lifecycle
from calls.clock import database_now
from calls.errors import InUseError, NameTakenError, NoLineError, NumberTakenError
from calls.models import Call, LineSlot, PhoneNumber, SipTrunk, TrunkGrant
from calls.services import numbers, trunks
from calls.services.lines import reserve_line
from calls.testing import make_call, make_number, make_trunk
from calls.tests.racing import race
from tenants.models import AuditEvent, Tenant
from tenants.scope import tenant_scope


def messages(error: ValidationError) -> dict[str, list[str]]:
    return error.message_dict


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("sip:host.example.com", "Leave out sip:"),
        ("user@host.example.com", "Leave out user@"),
        ("host.example.com;transport=tcp", "Leave out transport="),
        ("host", "is no host"),
        ("host..example.com", "is no host"),
        ("host.example.com:sip", "is no host"),
        ("host.example.com:70000", "There is no port 70000"),
        ("host.example.com:0", "There is no port 0"),
        ("host.example.com:", "is no host"),
        ("https://host.example.com", "is no host"),
        ("sip host.example.com", "is no host"),
        ("203.0.113.256", "is no host"),
        ("10.1", "is no host"),
        ("10.0.0.5", "10.0.0.5 is not on the public internet"),
        ("192.168.1.20:5060", "not on the public internet"),
        ("127.0.0.1", "not on the public internet"),
        ("169.254.169.254", "not on the public internet"),
        ("", "is no host"),
    ],
)
def test_an_address_with_a_typo_is_refused(scope: Tenant, address: str, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_trunk(address=address)
    assert says in messages(caught.value)["address"][0]
    assert SipTrunk.objects.count() == 0


@pytest.mark.parametrize("address", ["sip.example.com", "SIP.Example.com:5061", "54.172.60.1", "54.172.60.1:5060"])
def test_addresses_that_work(scope: Tenant, address: str) -> None:
    assert make_trunk(address=address).address == address.lower()


def test_networks_are_written_in_full(scope: Tenant) -> None:
    assert make_trunk(allowed_addresses=["203.0.113.9/28", "198.51.100.1"]).allowed_addresses == [
        "198.51.100.1/32",
        "203.0.113.0/28",
    ]
    with pytest.raises(ValidationError, match="is no address or network"):
        make_trunk(allowed_addresses=["example.com"])


def test_a_password_is_kept_when_it_is_not_given(scope: Tenant) -> None:
    trunk = make_trunk(auth_username="us", auth_password="s3cret")
    changed = trunks.change_trunk(trunk=trunk, cps=5)
    changed.refresh_from_db()
    assert (changed.auth_password.reveal(), changed.cps) == ("s3cret", 5)
    with pytest.raises(ValidationError, match="needs a user name"):
        make_trunk(auth_password="s3cret")
    assert "s3cret" not in str(AuditEvent.objects.values_list("fields", "data"))


def test_a_name_is_given_once(scope: Tenant) -> None:
    make_trunk(name="Main")
    with pytest.raises(NameTakenError):
        make_trunk(name="Main")


def test_the_own_grant_follows_the_channels(scope: Tenant) -> None:
    trunk = make_trunk(channels=4)
    trunks.change_trunk(trunk=trunk, channels=9)
    assert TrunkGrant.objects.get(trunk=trunk).channels == 9


def test_a_trunk_in_use_is_not_retired(scope: Tenant) -> None:
    number = make_number()
    trunk = number.grant.trunk
    with pytest.raises(InUseError, match=r"\+1202555"):
        trunks.retire_trunk(trunk=trunk)
    numbers.release_number(number=number)
    trunks.retire_trunk(trunk=trunk)
    assert (SipTrunk.objects.get().retired_at is not None, TrunkGrant.objects.get().revoked_at is not None) == (True, True)


def test_a_number_belongs_to_one_account_at_a_time(tenant: Tenant, other_tenant: Tenant) -> None:
    with tenant_scope(tenant):
        first = make_number(phone="+12025550177")
    with tenant_scope(other_tenant), pytest.raises(NumberTakenError, match="routes to somebody already"):
        make_number(phone="+12025550177")
    with tenant_scope(tenant):
        assert numbers.release_number(number=first)
        assert not numbers.release_number(number=first)
    with tenant_scope(other_tenant):
        assert make_number(phone="+12025550177").tenant_id == other_tenant.pk


def test_of_two_accounts_that_claim_a_number_at_once_one_gets_it(
    transactional_db: None, database_env: dict[str, str], make_tenant: Any
) -> None:
    claims = []
    for _ in range(2):
        with tenant_scope(tenant := make_tenant()):
            claims.append((str(tenant.pk), str(make_trunk().grants.get().pk)))
    told = race(database_env, CLAIM, processes=4, claims=claims)
    assert sorted(told) == ["NumberTakenError", "NumberTakenError", "NumberTakenError", "added"]
    assert PhoneNumber.all_objects.count() == 1


CLAIM = """
from calls.errors import NumberTakenError
from calls.models import TrunkGrant
from calls.services.numbers import add_number
tenant, grant = given["claims"][number % 2]
with tenant_scope(UUID(tenant)):
    try:
        add_number(phone="+12025550177", grant=TrunkGrant.objects.get(pk=grant))
    except NumberTakenError as error:
        assert "routes to somebody already" in str(error)
        return type(error).__name__
return "added"
"""


@transaction.atomic
def store_unchecked(row: PhoneNumber) -> None:
    row.save()
    connection.check_constraints()


def test_no_number_over_a_foreign_trunk(tenant: Tenant, other_tenant: Tenant) -> None:
    with tenant_scope(other_tenant):
        trunk = make_trunk()
        grant = trunk.grants.get()
    with tenant_scope(tenant):
        with pytest.raises(ValidationError, match="no such trunk"):
            make_number(grant=grant)
        with pytest.raises(ValidationError, match="no such trunk"):
            trunks.grant_trunk(trunk=trunk, channels=1)
        with pytest.raises(IntegrityError, match="phonenumber_grant_same_tenant"):
            store_unchecked(PhoneNumber(phone="+12025550178", grant=grant))


@pytest.mark.parametrize(
    ("phone", "says"),
    [
        ("+15550001", "digits"),
        ("+442079460000000", "digits"),
        ("112", "emergency or service number"),
        ("+1911", "emergency or service number"),
        ("72720", "emergency or service number"),
        ("+1202555017a", "digits only"),
        ("+1 800 FLOWERS", "digits only"),
        ("+12025550177 ext. 3", "digits only"),
        ("(202) 555-0177", "lacks its country code"),
        ("0049 30 901820", "lacks its country code"),
        ("+15551234567", "no number that an operator hands out"),
    ],
)
def test_numbers_nobody_hands_out_are_refused(scope: Tenant, phone: str, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_number(phone=phone)
    assert re.search(says, messages(caught.value)["phone"][0])
    assert PhoneNumber.objects.count() == 0


OPEN = [{"weekdays": [1, 2, 3, 4, 5], "starts_at": "09:00", "ends_at": "17:00"}]
MONDAY = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)  # 10:00 in New York
NIGHT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def test_who_answers_depends_on_the_hours(scope: Tenant) -> None:
    day, night = make_agent(), make_agent()
    zone = {"timezone": "America/New_York", "hours": OPEN}
    number = make_number(agent=day, **zone)
    assert numbers.route(number, at=NIGHT).agent == day
    number = numbers.change_number(number=number, closed_action="other_agent", closed_agent=night)
    assert (numbers.route(number, at=MONDAY).agent, numbers.route(number, at=NIGHT).agent) == (day, night)
    number = numbers.change_number(number=number, closed_action="forward", closed_forward_to="+12025550199")
    assert numbers.route(number, at=NIGHT).forward_to == "+12025550199"
    number = numbers.change_number(number=number, closed_action="sentence", closed_sentence="We are closed.")
    assert numbers.route(number, at=NIGHT).sentence == "We are closed."


def test_a_number_without_an_agent_says_so(scope: Tenant) -> None:
    assert numbers.route(make_number(), at=MONDAY).sentence == numbers.NOBODY
    assert numbers.route(make_number(agent=make_agent(published=False)), at=MONDAY).sentence == numbers.NOBODY


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"closed_action": "sentence"}, "closed_sentence"),
        ({"closed_action": "forward"}, "closed_forward_to"),
        ({"closed_action": "forward", "closed_forward_to": "+19002345678"}, "closed_forward_to"),
        ({"closed_action": "forward", "closed_forward_to": "+881612345678"}, "closed_forward_to"),
        ({"closed_action": "forward", "closed_forward_to": "911"}, "closed_forward_to"),
        ({"closed_action": "other_agent"}, "closed_agent"),
        ({"hours": [{"weekdays": [8], "starts_at": "09:00", "ends_at": "17:00"}]}, "hours"),
        ({"hours": [{"weekdays": [1], "starts_at": "17:00", "ends_at": "17:00"}]}, "hours"),
        ({"hours": [{"weekdays": [1], "starts_at": "24:00", "ends_at": "17:00"}]}, "hours"),
        ({"hours": "always"}, "hours"),
        ({"hours": [{"weekdays": 1}]}, "hours"),
        ({"hook_url": "http://169.254.169.254/"}, "hook_url"),
        ({"timezone": "Mars/Base"}, "timezone"),
    ],
)
def test_a_number_is_refused_by_field(scope: Tenant, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_number(**fields)
    assert set(messages(caught.value)) == {field}


def line(grant: TrunkGrant, role: str = "callee") -> LineSlot:
    return reserve_line(call=make_call(), grant=grant, role=role)


def test_lines_are_counted_and_kept_for_inbound(scope: Tenant) -> None:
    grant = trunks.grant_trunk(trunk=make_trunk(channels=3), channels=3, reserved_inbound=1)
    first = line(grant)
    assert reserve_line(call=first.call, grant=grant) == first
    second = line(grant)
    with pytest.raises(NoLineError) as caught:
        line(grant)
    assert (caught.value.code, caught.value.waits) == ("no_free_line", True)
    line(grant, "caller")
    with pytest.raises(NoLineError):
        line(grant, "caller")
    lifecycle.end(call_id=second.call_id, disposition="canceled", ended_reason="canceled_by_user", at=database_now())
    assert LineSlot.objects.count() == 2
    line(grant)


def test_siblings_share_the_lines_of_their_agency(make_tenant: Any) -> None:
    agency = make_tenant()
    children = [make_tenant(agency=agency) for _ in range(2)]
    with tenant_scope(agency):
        trunk = make_trunk(channels=2)
    grants = []
    for child in children:
        with tenant_scope(child):
            grants.append(trunks.grant_trunk(trunk=trunk, channels=2))
            line(grants[-1])
    with tenant_scope(children[0]), pytest.raises(NoLineError, match="All 2 lines"):
        line(grants[0])


def test_a_line_of_a_stopped_or_taken_away_trunk(scope: Tenant) -> None:
    trunk = make_trunk()
    grant = trunk.grants.get()
    trunks.stop_trunk(trunk=trunk, why="The carrier refuses the credentials.")
    with pytest.raises(NoLineError, match="refuses the credentials") as caught:
        line(grant)
    assert not caught.value.waits
    line(grant, "caller")
    assert trunks.resume_trunk(trunk=trunk)
    line(grant)
    TrunkGrant.objects.update(revoked_at=database_now())
    with pytest.raises(NoLineError, match="may not use this trunk"):
        line(TrunkGrant.objects.get())
    assert Call.objects.filter(slots__isnull=False).count() == 2
