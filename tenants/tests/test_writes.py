"""Writing: only rows of the tenant in scope, and no row ever changes its tenant."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from tenants.errors import NoTenantScopeError
from tenants.models import Tenant, TenantFeature
from tenants.scope import all_tenants, tenant_scope


@pytest.fixture
def theirs(other_tenant: Tenant) -> TenantFeature:
    with tenant_scope(other_tenant):
        return TenantFeature.objects.create(feature_key="x", enabled=True)


def count() -> int:
    return TenantFeature.all_objects.filter(enabled=True).count()


FOREIGN_WRITES: dict[str, Callable[[TenantFeature], Any]] = {
    "create": lambda row: TenantFeature.objects.create(tenant=row.tenant, feature_key="y", enabled=True),
    "bulk_create": lambda row: TenantFeature.objects.bulk_create(
        [TenantFeature(tenant=row.tenant, feature_key="y", enabled=True)]
    ),
    "bulk_create upsert": lambda row: TenantFeature.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["id"], update_fields=["enabled"]
    ),
    "get_or_create": lambda row: TenantFeature.objects.get_or_create(tenant=row.tenant, feature_key="y", enabled=True),
    "update_or_create": lambda row: TenantFeature.objects.update_or_create(
        feature_key="y", defaults={"tenant": row.tenant, "enabled": True}
    ),
    "bulk_update": lambda row: TenantFeature.objects.bulk_update([row], ["enabled"]),
    "save": lambda row: row.save(),
    "delete": lambda row: row.delete(),
}


@pytest.mark.parametrize("write", FOREIGN_WRITES)
def test_another_tenants_row_is_not_written(theirs: TenantFeature, scope: Tenant, write: str) -> None:
    with pytest.raises(NoTenantScopeError):
        FOREIGN_WRITES[write](theirs)
    assert count() == 1


@pytest.mark.parametrize("write", FOREIGN_WRITES)
def test_nothing_is_written_without_a_scope(theirs: TenantFeature, write: str) -> None:
    with pytest.raises(NoTenantScopeError):
        FOREIGN_WRITES[write](theirs)
    assert count() == 1


@pytest.mark.parametrize("write", ["update", "delete", "_raw_delete"])
def test_mass_writes_stop_at_the_tenant_and_at_the_scope(theirs: TenantFeature, tenant: Tenant, write: str) -> None:
    arguments: Any = {"update": {"enabled": False}, "_raw_delete": {"using": "default"}}.get(write, {})
    with tenant_scope(tenant):
        getattr(TenantFeature.objects.all(), write)(**arguments)
    assert count() == 1
    with tenant_scope(theirs.tenant_id):
        captured = TenantFeature.objects.all()
    for scope in (tenant_scope(tenant), all_tenants()):
        with scope, pytest.raises(NoTenantScopeError):
            getattr(captured, write)(**arguments)
    with pytest.raises(NoTenantScopeError):
        getattr(captured, write)(**arguments)
    assert count() == 1


def test_new_rows_take_the_tenant_in_scope(scope: Tenant) -> None:
    (bulk,) = TenantFeature.objects.bulk_create([TenantFeature(feature_key="a", enabled=True)])
    rows = [bulk, TenantFeature.objects.create(feature_key="b", enabled=True), TenantFeature(feature_key="c", enabled=True)]
    rows[2].save()
    assert {row.tenant_id for row in rows} == {scope.pk}


def test_staff_who_see_everybody_must_say_whose_a_new_row_is(tenant: Tenant) -> None:
    with all_tenants():
        with pytest.raises(NoTenantScopeError):
            TenantFeature.objects.create(feature_key="a", enabled=True)
        TenantFeature.objects.create(tenant=tenant, feature_key="a", enabled=True)
    assert count() == 1


def test_a_row_never_changes_its_tenant(theirs: TenantFeature, tenant: Tenant) -> None:
    with all_tenants():
        theirs.tenant = tenant
        with pytest.raises(DatabaseError), transaction.atomic():
            theirs.save()
        for column in ({"tenant": tenant}, {"tenant_id": tenant.pk}):
            with pytest.raises(NoTenantScopeError):
                TenantFeature.objects.update(**column)
        with pytest.raises(NoTenantScopeError):
            TenantFeature.objects.bulk_update([theirs], ["tenant"])
    theirs.refresh_from_db()
    assert theirs.tenant_id != tenant.pk


def test_a_row_cannot_be_taken_over_by_its_id(theirs: TenantFeature, scope: Tenant) -> None:
    forged = TenantFeature(pk=theirs.pk, feature_key="mine", enabled=False)
    with pytest.raises(DatabaseError), transaction.atomic():
        forged.save(force_update=True)
    with pytest.raises(DatabaseError), transaction.atomic():
        forged.save()
    assert count() == 1


def test_own_rows_are_refreshed_and_deleted(scope: Tenant) -> None:
    row = TenantFeature.objects.create(feature_key="a", enabled=True)
    TenantFeature.objects.update(enabled=False)
    row.refresh_from_db()
    assert row.enabled is False
    row.enabled = True
    row.save(update_fields=["enabled"])
    assert count() == 1
    row.delete()
    assert TenantFeature.objects.count() == 0
