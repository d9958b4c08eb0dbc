"""Every model belongs to a tenant or is on the list, and the database keeps references inside the tenant."""

import itertools
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, models
from django.db.models import ForeignKey

from tenants.models import TenantForeignKey, TenantManager, TenantModel
from tenants.models.query import TenantQuerySet

# Rows that no tenant owns. A model comes onto this list by decision, never by default.
GLOBAL = {
    "admin.LogEntry",
    "auth.Group",
    "auth.Group_permissions",
    "auth.Permission",
    "calls.ProviderEvent",
    "calls.SweepRun",
    "calls.WorkerHost",
    "contenttypes.ContentType",
    "sessions.Session",
    "tenants.DefaultRate",
    "tenants.Plan",
    "tenants.Tenant",
    "tenants.User",
    "tenants.User_groups",
    "tenants.User_user_permissions",
}
MODELS = apps.get_models(include_auto_created=True)
OWNED = [model for model in MODELS if issubclass(model, TenantModel)]


def inner_keys(model: type[models.Model]) -> Iterator[ForeignKey]:
    """Foreign keys from one tenant-owned model to another."""
    for field in model._meta.local_fields:
        if isinstance(field, ForeignKey) and issubclass(field.related_model, TenantModel):
            yield field


def test_every_model_has_a_tenant_or_is_listed() -> None:
    unlisted = {model._meta.label for model in MODELS if model not in OWNED} - GLOBAL
    assert unlisted == set()
    assert {label for label in GLOBAL if issubclass(apps.get_model(label), TenantModel)} == set()


@pytest.mark.parametrize("model", OWNED, ids=lambda model: model._meta.label)
def test_every_manager_is_scoped_but_the_named_bypass(model: type[TenantModel]) -> None:
    assert model._meta.base_manager_name == "all_objects"
    assert not model._meta.get_field("tenant").null
    for manager in model._meta.managers:
        scoped = isinstance(manager, TenantManager) and issubclass(manager._queryset_class, TenantQuerySet)
        assert scoped or manager.name == "all_objects", manager.name
    assert isinstance(model._default_manager, TenantManager)


@pytest.mark.parametrize("model", OWNED, ids=lambda model: model._meta.label)
def test_references_inside_a_tenant_are_declared(model: type[TenantModel]) -> None:
    declared = {key.field for key in model._meta.constraints if isinstance(key, TenantForeignKey)}
    assert declared == {field.name for field in inner_keys(model)}
    assert [field.name for field in inner_keys(model) if field.db_constraint] == []
    assert [field.name for field in model._meta.local_many_to_many] == [], "a many-to-many table would have no tenant"


def test_references_inside_a_tenant_are_in_the_database(db: None) -> None:
    expected = {
        (model._meta.db_table, (key.owner_column, field.column), field.related_model._meta.db_table, ("tenant_id", "id"))
        for model in OWNED
        for key in model._meta.constraints
        if isinstance(key, TenantForeignKey)
        for field in [key.foreign_key(model)]
    }
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT c.conrelid::regclass::text,
                   ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(n, o)
                         JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.o),
                   c.confrelid::regclass::text,
                   ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(n, o)
                         JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY k.o)
            FROM pg_constraint c WHERE c.contype = 'f' AND c.convalidated""")
        found = {(table, tuple(columns), target, tuple(keys)) for table, columns, target, keys in cursor.fetchall()}
    assert {key for key in found if len(key[1]) == 2} == expected
    owned_tables = {model._meta.db_table for model in OWNED}
    assert [key for key in found if len(key[1]) == 1 and {key[0], key[2]} <= owned_tables] == []


@pytest.mark.parametrize("model", OWNED, ids=lambda model: model._meta.label)
def test_the_tenant_comes_first_in_unique_constraints(model: type[TenantModel]) -> None:
    uniques = [c for c in model._meta.constraints if isinstance(c, models.UniqueConstraint) and c.fields]
    # A room, a routed number and the prefix of a key are unique among all tenants, because they lead to the tenant.
    leads_to_tenant = {("room",), ("prefix",), ("phone",)}
    assert [c.name for c in uniques if c.fields[0] != "tenant" and c.fields not in leads_to_tenant] == []
    assert [f.name for f in model._meta.local_fields if f.unique and not f.primary_key] == []


def test_foreign_keys_to_lower_apps_leave_no_trace_there() -> None:
    order = ["tenants", "integrations", "knowledge", "agents", "calls", "campaigns", "analytics"]
    for model, field in itertools.chain.from_iterable(((m, f) for f in m._meta.local_fields) for m in MODELS):
        if isinstance(field, ForeignKey) and model._meta.app_label in order and field.related_model._meta.app_label in order:
            here, there = (order.index(m._meta.app_label) for m in (model, field.related_model))
            assert here >= there, f"{model._meta.label}.{field.name} points upwards"
            assert here == there or field.remote_field.hidden, f"{model._meta.label}.{field.name} needs related_name='+'"


def test_the_system_checks_pass_and_migrations_are_complete(db: None) -> None:
    call_command("check", databases=["default"], fail_level="WARNING")
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
