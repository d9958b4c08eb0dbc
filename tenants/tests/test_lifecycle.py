"""Tenants: made with limits, two levels, and one way through life."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from tenants import lifecycle
from tenants.models import AuditEvent, Membership, Tenant, TenantLimits, User
from tenants.scope import tenant_scope
from tenants.services.limits import Limits, effective_limits
from tenants.services.tenants import add_member, create_tenant

Status = Tenant.Status
ROADS = {
    (Status.TRIAL, Status.ACTIVE),
    (Status.TRIAL, Status.SUSPENDED),
    (Status.TRIAL, Status.CLOSING),
    (Status.ACTIVE, Status.SUSPENDED),
    (Status.ACTIVE, Status.CLOSING),
    (Status.SUSPENDED, Status.ACTIVE),
    (Status.SUSPENDED, Status.CLOSING),
    (Status.CLOSING, Status.PURGED),
}


def put(tenant: Tenant, status: str) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(status=status)


@pytest.mark.parametrize("start", Status)
@pytest.mark.parametrize("to", Status)
def test_only_the_drawn_roads_are_open(tenant: Tenant, start: Status, to: Status, make_user: Callable[..., User]) -> None:
    put(tenant, start)
    actor = make_user()
    assert lifecycle.advance(tenant=tenant, to=to, actor=actor, reason="why") is ((start, to) in ROADS)
    tenant.refresh_from_db()
    assert tenant.status == (to if (start, to) in ROADS else start)
    with tenant_scope(tenant):
        told = AuditEvent.objects.filter(action=f"tenant.{to}", actor_id=actor.pk, reason="why")
        assert [event.data for event in told] == ([{"from": start, "to": to}] if (start, to) in ROADS else [])


@pytest.mark.django_db(transaction=True)
def test_of_two_people_at_once_one_moves_the_tenant(tenant: Tenant) -> None:
    together = Barrier(4)

    def close(_number: int) -> bool:
        together.wait()
        try:
            return lifecycle.advance(tenant=Tenant.objects.get(pk=tenant.pk), to=Status.CLOSING)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(close, range(4))) == 1
    with tenant_scope(tenant):
        assert AuditEvent.objects.filter(action="tenant.closing").count() == 1


@pytest.mark.parametrize(("status", "takes"), [(s, s in ("trial", "active")) for s in Status])
def test_only_trial_and_active_tenants_take_new_work(tenant: Tenant, status: str, takes: bool) -> None:
    put(tenant, status)
    tenant.refresh_from_db()
    assert tenant.takes_new_work is takes


def test_a_tenant_comes_with_limits_and_a_record(scope: Tenant) -> None:
    assert scope.status == Status.TRIAL
    assert TenantLimits.objects.get().max_open_calls is None
    assert effective_limits() == Limits(10, 1200, calls_per_phone_day=3, calls_per_phone_week=7)
    assert AuditEvent.objects.get().action == "tenant.created"


@pytest.mark.parametrize(
    ("field", "value"), [("timezone", "Mars/Base"), ("currency", "usd"), ("name", ""), ("slug", "two words"), ("slug", "")]
)
def test_a_tenant_that_does_not_fit_is_refused(db: None, field: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        create_tenant(**{"name": "New", "slug": "new"} | {field: value})
    assert list(refused.value.message_dict) == [field]
    assert Tenant.objects.count() == 0


def test_there_are_two_levels(make_tenant: Callable[..., Tenant]) -> None:
    agency = make_tenant()
    customer = make_tenant(agency=agency)
    with pytest.raises(ValidationError, match="two levels"):
        make_tenant(agency=customer)
    agency.agency = make_tenant()
    with pytest.raises(ValidationError, match="customers of its own"):
        agency.full_clean()
    assert Tenant.objects.exclude(agency=None).get() == customer


def test_the_database_keeps_two_levels(make_tenant: Callable[..., Tenant]) -> None:
    agency = make_tenant()
    customer = make_tenant(agency=agency)
    for row, above in ((make_tenant(), customer), (agency, make_tenant()), (agency, agency)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Tenant.objects.filter(pk=row.pk).update(agency=above)


def test_a_member_is_added_once(scope: Tenant, make_user: Callable[..., User]) -> None:
    user = make_user()
    add_member(user=user, role="operator")
    with pytest.raises(ValidationError, match="Already a member"):
        add_member(user=user, role="owner")
    with pytest.raises(ValidationError) as refused:
        add_member(user=make_user(), role="king")
    assert "role" in refused.value.message_dict
    assert Membership.objects.get().role == "operator"
