"""Transfer targets: whom a call may be handed to at all."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from agents.models import Agent, TransferTarget
from calls.errors import InUseError, NameTakenError
from calls.models import Call
from calls.services.numbers import release_number
from calls.services.people import suppress
from calls.services.targets import change_target, create_target, delete_target, hand_over_facts, refused_targets
from calls.testing import make_number
from tenants.models import AuditEvent, Tenant, TenantLimits
from tenants.scope import tenant_scope

PHONE = "+12125550123"
HOURS = [{"weekdays": [1, 2], "starts_at": "09:00", "ends_at": "17:30"}]


@pytest.fixture(autouse=True)
def _in_the_states(scope: Tenant) -> None:
    TenantLimits.objects.update(allowed_countries=["US"])


def make_target(**fields: Any) -> TransferTarget:
    return create_target(**{"name": "Front desk", "phone": PHONE} | fields)


def test_a_target_is_kept_as_the_network_writes_it(scope: Tenant) -> None:
    row = make_target(phone="+1 (212) 555-0123", hours=HOURS)
    assert (row.phone, row.hours, row.mode, row.kind, row.enabled) == (PHONE, HOURS, "warm", "person", True)
    change_target(target=row, name="Reception", phone=PHONE)
    changed = AuditEvent.objects.get(action="transfer_target.changed")
    assert changed.fields == ["name"]
    delete_target(target=row)
    assert not TransferTarget.objects.exists()
    assert AuditEvent.objects.filter(action="transfer_target.deleted").exists()


def test_keys_need_somebody_to_press_them() -> None:
    with pytest.raises(ValidationError, match="digits"):
        make_target(digits="12", mode="blind")
    row = make_target(digits="12")
    with pytest.raises(ValidationError, match="digits"):
        change_target(target=row, mode="blind")


@pytest.mark.parametrize(
    ("phone", "says"),
    [
        ("+12125550100", "your own agents answer"),
        ("911", "emergency"),
        ("+19005550123", "premium"),
        ("12", "service number"),
        ("+4915112345678", "may call: US"),
        ("+12125550199", "do-not-call"),
        ("nonsense", "country code"),
    ],
)
def test_nobody_is_a_target_whom_the_account_may_not_call(phone: str, says: str) -> None:
    suppress(phone="+12125550199", source="customer")
    make_number(phone="+12125550100")
    with pytest.raises(ValidationError) as error:
        make_target(phone=phone)
    assert says in error.value.message_dict["phone"][0]
    row = make_target()
    with pytest.raises(ValidationError):
        change_target(target=row, phone=phone)
    row.refresh_from_db()
    assert row.phone == PHONE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hours", [{"weekdays": [8], "starts_at": "09:00", "ends_at": "17:00"}]),
        ("timezone", "Mars/Base"),
        ("digits", "12A"),
        ("digits", "1" * 33),
        ("ring_s", 4),
        ("ring_s", 61),
        ("mode", "hot"),
        ("kind", "robot"),
        ("name", ""),
        ("name", "Front\ndesk"),
    ],
)
def test_what_does_not_fit_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as error:
        make_target(**{field: value})
    assert list(error.value.message_dict) == [field]
    assert not TransferTarget.objects.exists()


def test_names_tell_targets_apart() -> None:
    make_target()
    with pytest.raises(NameTakenError):
        make_target(phone="+12125550124")
    other = make_target(name="Dr. Park")
    with pytest.raises(NameTakenError):
        change_target(target=other, name="Front desk")


def test_a_target_in_use_is_not_deleted(make_agent: Callable[..., Agent]) -> None:
    row = make_target()
    make_agent(name="Ava", settings={"transfer": {"targets": [row.public_id]}}, published=False)
    with pytest.raises(InUseError, match="Ava"):
        delete_target(target=row)
    assert TransferTarget.objects.exists()


def test_who_may_not_be_called_any_more_is_refused_when_tried(make_call: Callable[..., Call]) -> None:
    call, rows = make_call(), [make_target(name=f"Desk {number}", phone=f"+1212555019{number}") for number in range(6)]
    known = [row.as_target() for row in rows]
    assert refused_targets(call.pk, known) == frozenset()
    suppress(phone=rows[1].phone, source="customer")
    change_target(target=rows[2], enabled=False)
    delete_target(target=rows[3])
    make_number(phone=rows[4].phone)
    release_number(number=make_number(phone=rows[5].phone))
    assert refused_targets(call.pk, known) == {each.id for each in known[1:5]}


def test_nothing_but_its_settings_is_changed_of_a_target(scope: Tenant) -> None:
    row = make_target()
    with pytest.raises(TypeError, match="tenant_id"):
        change_target(target=row, tenant_id=scope.pk)


def test_customers_are_told_whom_a_call_was_handed_to_and_no_phone() -> None:
    told = {"id": "tgt_1", "name": "Desk", "outcome": "busy", "phone": PHONE}
    facts = hand_over_facts({"reason": "other", "target": None, "tried": [told]})
    assert (facts["outcome"], facts["tried"]) == ("not_taken", [{"id": "tgt_1", "name": "Desk", "outcome": "busy"}])


@pytest.mark.django_db(transaction=True)
def test_two_changes_that_do_not_go_together_are_not_both_made() -> None:
    row = make_target()

    def change(**change: str) -> str:
        at_once.wait(20)
        try:
            with tenant_scope(row.tenant_id):
                change_target(target=row, **change)
        except ValidationError as error:
            return next(iter(error.message_dict))
        finally:
            connection.close()
        return ""

    at_once = Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        changes = [pool.submit(change, mode="blind"), pool.submit(change, digits="12")]
    assert sorted(each.result() for each in changes) == ["", "digits"]
