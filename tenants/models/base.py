"""What every tenant-owned model is made of: the fail-closed manager and the composite foreign key."""

from collections.abc import Iterable
from typing import Any, Self
from uuid import UUID

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models.constraints import BaseConstraint

from tenants.errors import NoTenantScopeError
from tenants.scope import current_scope, current_tenant_id
from voiceplatform.lib.ids import to_public_id, uuid7


class TenantQuerySet(models.QuerySet):
    """Rows of the tenant in scope; refuses to write another tenant's."""

    def bulk_create(self, objs: Iterable[models.Model], *args: Any, **kwargs: Any) -> list[models.Model]:
        rows = list(objs)
        for row in rows:
            _check_owner(row)
        return super().bulk_create(rows, *args, **kwargs)

    def update(self, **kwargs: Any) -> int:
        if "tenant" in kwargs or "tenant_id" in kwargs:
            raise NoTenantScopeError("a row never changes its tenant")
        return super().update(**kwargs)


class TenantManager(models.Manager.from_queryset(TenantQuerySet)):  # type: ignore[misc]
    """Sees the rows of the tenant in scope; raises NoTenantScopeError when there is no scope."""

    def get_queryset(self) -> TenantQuerySet:
        scope = current_scope()
        rows: TenantQuerySet = super().get_queryset()
        return rows.filter(tenant_id=scope) if isinstance(scope, UUID) else rows


def scoped_manager(queryset: type[TenantQuerySet]) -> TenantManager:
    """A TenantManager with the extra methods of `queryset`."""
    manager = type(f"{queryset.__name__}Manager", (TenantManager.from_queryset(queryset),), {})
    instance: TenantManager = manager()
    return instance


class UUIDModel(models.Model):
    """A UUIDv7 primary key, shown outside with the model's `public_prefix`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    public_prefix = ""

    class Meta:
        abstract = True

    @property
    def public_id(self) -> str:
        return to_public_id(self.public_prefix, self.pk)


class TenantModel(UUIDModel):
    """A row that belongs to one tenant.

    `objects` is scoped; `all_objects` is the bypass for migrations, resolvers and sweeps.
    """

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")

    objects = TenantManager()
    all_objects = models.Manager()

    class Meta:
        abstract = True
        base_manager_name = "all_objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.tenant_id is None:
            self.tenant_id = current_tenant_id()
        _check_owner(self)
        super().save(*args, **kwargs)


def _check_owner(row: models.Model) -> None:
    scope = current_scope()
    if isinstance(scope, UUID) and getattr(row, "tenant_id", None) != scope:
        raise NoTenantScopeError(f"this {row._meta.verbose_name} belongs to another tenant")


class TenantForeignKey(BaseConstraint):
    """FOREIGN KEY (tenant_id, field) → (tenant_id, id) of the model the field points at.

    The Django field keeps `db_constraint=False`; the target needs a UniqueConstraint on (tenant, id).
    The statement is deferred because a migration may create the target's constraint later.
    """

    def __init__(
        self,
        *,
        field: str,
        name: str,
        violation_error_code: str | None = None,
        violation_error_message: str | None = None,
    ) -> None:
        self.field = field
        super().__init__(
            name=name, violation_error_code=violation_error_code, violation_error_message=violation_error_message
        )

    def _add(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:
        quote = schema_editor.quote_name
        field = model._meta.get_field(self.field)
        target = field.related_model._meta.db_table  # type: ignore[union-attr]
        schema_editor.deferred_sql.append(
            f"ALTER TABLE {quote(model._meta.db_table)} ADD CONSTRAINT {quote(self.name)} "
            f"FOREIGN KEY (tenant_id, {quote(field.column)}) REFERENCES {quote(target)} (tenant_id, id) "  # type: ignore[union-attr]
            "DEFERRABLE INITIALLY DEFERRED"
        )

    def constraint_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:  # type: ignore[override]
        self._add(model, schema_editor)

    def create_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:  # type: ignore[override]
        self._add(model, schema_editor)

    def remove_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> str:  # type: ignore[override]
        quote = schema_editor.quote_name
        return f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(self.name)}"

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """The database decides; forms limit their choices to the tenant's rows."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TenantForeignKey) and (self.field, self.name) == (other.field, other.name)

    def __hash__(self) -> int:
        return hash((self.field, self.name))

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        path, args, kwargs = super().deconstruct()
        return path, args, {**kwargs, "field": self.field}

    def clone(self) -> Self:
        _, args, kwargs = self.deconstruct()
        return type(self)(*args, **kwargs)


def tenant_key(model: str) -> models.UniqueConstraint:
    """UNIQUE (tenant, id): what composite foreign keys to `model` point at."""
    return models.UniqueConstraint(fields=["tenant", "id"], name=f"{model}_tenant_key")
