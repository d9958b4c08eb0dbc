"""Queries fail closed: none without a scope, none with another scope's filter, no other tenant's row."""

import copy
import pickle
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import models, transaction
from django.db.models import Count, Max, Prefetch

from tenants.errors import NoTenantScopeError
from tenants.models import OutboxDelivery, OutboxEvent, Tenant, TenantFeature
from tenants.models.query import TenantQuerySet
from tenants.outbox import publish
from tenants.scope import all_tenants, tenant_scope

READS: dict[str, Callable[[Any], Any]] = {
    "all": lambda rows: list(rows.all()),
    "filter": lambda rows: list(rows.filter(topic="call.repriced")),
    "exclude": lambda rows: list(rows.exclude(topic="x")),
    "or": lambda rows: list(rows.filter(topic="x") | rows.filter(topic="call.repriced")),
    "union": lambda rows: list(rows.filter(topic="call.repriced").union(rows.filter(topic="x"))),
    "values": lambda rows: list(rows.values("id")),
    "values_list": lambda rows: list(rows.values_list("id", flat=True)),
    "iterator": lambda rows: list(rows.iterator()),
    "slice": lambda rows: list(rows.all()[:1]),
    "first": lambda rows: [rows.first()],
    "latest": lambda rows: [rows.latest("created_at")],
    "get": lambda rows: [rows.get()],
    "in_bulk": lambda rows: list(rows.in_bulk()),
    "dates": lambda rows: list(rows.datetimes("created_at", "day")),
    "count": lambda rows: rows.count(),
    "exists": lambda rows: rows.exists(),
    "aggregate": lambda rows: rows.aggregate(n=Count("id"))["n"],
    "aggregate of a slice": lambda rows: rows.all()[:5].aggregate(n=Count("id"))["n"],
    "annotate": lambda rows: list(rows.annotate(n=Max("deliveries__sequence"))),
    "exclude many": lambda rows: list(rows.exclude(deliveries__subscriber="x")),
    "subquery": lambda rows: list(rows.filter(pk__in=rows.values("pk"))),
    "prefetch": lambda rows: list(rows.prefetch_related("deliveries")),
    "prefetch queryset": lambda rows: list(rows.prefetch_related(Prefetch("deliveries", OutboxDelivery.objects.all()))),
    "select_related": lambda rows: list(rows.select_related("tenant")),
    "lock": lambda rows: list(rows.select_for_update()),
}
NOTHING: dict[str, Any] = {"first": [None]}


@pytest.fixture
def event(tenant: Tenant) -> OutboxEvent:
    with tenant_scope(tenant), transaction.atomic():
        return publish(topic="call.repriced", object_type="call", object_id=uuid4())


@pytest.mark.parametrize("read", READS)
def test_no_scope_no_query(event: OutboxEvent, read: str) -> None:
    with pytest.raises(NoTenantScopeError):
        READS[read](OutboxEvent.objects)


@pytest.mark.parametrize("read", READS)
def test_the_owner_sees_the_row_and_a_stranger_does_not(event: OutboxEvent, other_tenant: Tenant, read: str) -> None:
    with tenant_scope(event.tenant_id):
        assert READS[read](OutboxEvent.objects)
    with tenant_scope(other_tenant):
        try:
            found = READS[read](OutboxEvent.objects)
        except OutboxEvent.DoesNotExist:
            found = None
        assert not found or found == NOTHING.get(read)


@pytest.mark.parametrize("read", READS)
def test_staff_see_all_rows(event: OutboxEvent, read: str) -> None:
    with all_tenants():
        assert READS[read](OutboxEvent.objects)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("cached", [False, True])
def test_a_captured_queryset_is_worthless_in_any_other_scope(
    event: OutboxEvent, other_tenant: Tenant, read: str, cached: bool
) -> None:
    with tenant_scope(event.tenant_id):
        mine = OutboxEvent.objects.all()
        assert not cached or len(mine) == 1
    with all_tenants():
        everybodys = OutboxEvent.objects.all()
        assert not cached or len(everybodys) == 1
    for captured in (mine, everybodys):
        with pytest.raises(NoTenantScopeError):
            READS[read](captured)
        with tenant_scope(other_tenant), pytest.raises(NoTenantScopeError):
            READS[read](captured)
    with all_tenants(), pytest.raises(NoTenantScopeError):
        READS[read](mine)


@pytest.mark.parametrize("use", [list, len, bool, lambda rows: rows[0], lambda rows: rows.contains(OutboxEvent()), repr])
def test_a_filled_cache_is_read_in_its_own_scope_only(
    event: OutboxEvent, other_tenant: Tenant, use: Callable[[Any], Any]
) -> None:
    with tenant_scope(event.tenant_id):
        rows = OutboxEvent.objects.all()
        assert len(rows) == 1
    with tenant_scope(other_tenant), pytest.raises(NoTenantScopeError):
        use(rows)


def test_another_scopes_query_cannot_be_smuggled_into_ours(event: OutboxEvent, other_tenant: Tenant) -> None:
    with tenant_scope(event.tenant_id):
        theirs = OutboxEvent.objects.all()
    with tenant_scope(other_tenant):
        ours = OutboxEvent.objects.all()
        for smuggle in (lambda: ours | theirs, lambda: list(ours.union(theirs)), lambda: list(ours.filter(pk__in=theirs))):
            with pytest.raises(NoTenantScopeError):
                smuggle()


def test_related_rows_need_the_scope(event: OutboxEvent) -> None:
    for read in (lambda: list(event.deliveries.all()), event.deliveries.count, event.deliveries.exists):
        with pytest.raises(NoTenantScopeError):
            read()
    with tenant_scope(event.tenant_id):
        prefetched = OutboxEvent.objects.prefetch_related("deliveries").get()
        assert [d.event_id for d in prefetched.deliveries.all()] == [event.pk]
    with pytest.raises(NoTenantScopeError):
        list(prefetched.deliveries.all())
    with pytest.raises(NoTenantScopeError):
        models.prefetch_related_objects([OutboxEvent(pk=event.pk, tenant_id=event.tenant_id)], "deliveries")


def test_forms_offer_rows_of_the_tenant_in_scope(event: OutboxEvent, other_tenant: Tenant) -> None:
    field = OutboxDelivery._meta.get_field("event")
    with pytest.raises(NoTenantScopeError):
        field.formfield()
    with tenant_scope(event.tenant_id):
        assert list(field.formfield().queryset) == [event]
    with tenant_scope(other_tenant):
        assert list(field.formfield().queryset) == []


def test_copies_belong_to_the_same_scope(event: OutboxEvent, other_tenant: Tenant) -> None:
    with tenant_scope(event.tenant_id):
        rows = OutboxEvent.objects.filter(topic="test.happened") | OutboxEvent.objects.all()
        copies = [copy.copy(rows), copy.deepcopy(rows), rows.all(), rows.none(), pickle.loads(pickle.dumps(rows))]  # noqa: S301
        assert [len(found) for found in copies] == [1, 1, 1, 0, 1]
    for found in copies:
        with tenant_scope(other_tenant), pytest.raises(NoTenantScopeError):
            list(found)


def test_raw_sql_and_unscoped_managers_are_not_to_be_had(scope: Tenant) -> None:
    with pytest.raises(NoTenantScopeError):
        OutboxEvent.objects.raw("SELECT * FROM tenants_outboxevent")


def test_every_way_to_make_a_manager_gives_a_scoped_one(tenant: Tenant) -> None:
    class Rows(TenantQuerySet):
        pass

    for make in (Rows.as_manager, models.Manager.from_queryset(Rows)):
        manager = make()
        manager.model = TenantFeature
        with pytest.raises(NoTenantScopeError):
            manager.all()
    with pytest.raises(NoTenantScopeError):
        Rows(TenantFeature)


@pytest.mark.django_db(transaction=True)
async def test_async_queries_keep_the_scope(tenant: Tenant, other_tenant: Tenant) -> None:
    with pytest.raises(NoTenantScopeError):
        await OutboxEvent.objects.aexists()
    with tenant_scope(tenant):
        await TenantFeature.objects.acreate(feature_key="x", enabled=True)
        assert [row.feature_key async for row in TenantFeature.objects.all()] == ["x"]
        assert [row.feature_key async for row in TenantFeature.objects.aiterator()] == ["x"]
        captured = TenantFeature.objects.all()
    with tenant_scope(other_tenant):
        assert [row async for row in TenantFeature.objects.all()] == []
        with pytest.raises(NoTenantScopeError):
            [row async for row in captured]
        with pytest.raises(NoTenantScopeError):
            [row async for row in captured.aiterator()]
