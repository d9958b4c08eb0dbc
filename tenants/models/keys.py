"""Keys that keep references inside one tenant, in the database."""

from collections.abc import Collection, Sequence
from typing import Any, Self

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models.constraints import BaseConstraint


def tenant_key(model: str) -> models.UniqueConstraint:
    """UNIQUE (tenant, id): what composite foreign keys to `model` point at."""
    return models.UniqueConstraint(fields=["tenant", "id"], name=f"{model}_tenant_key")


class TenantForeignKey(BaseConstraint):
    """FOREIGN KEY (tenant_id, field) → (tenant_id, id) of the model the field points at.

    `owner` names the field that holds the target's tenant where that may be another one. The Django field keeps
    `db_constraint=False`; the target needs `tenant_key`. The statement is deferred because a migration may create the
    target's constraint later.
    """

    def __init__(
        self,
        *,
        field: str,
        name: str,
        owner: str = "tenant",
        violation_error_code: str | None = None,
        violation_error_message: str | None = None,
    ) -> None:
        self.field, self.owner = field, owner
        super().__init__(name=name, violation_error_code=violation_error_code, violation_error_message=violation_error_message)

    def foreign_key(self, model: type[models.Model]) -> models.ForeignKey:
        """Raises FieldDoesNotExist when `field` is no foreign key."""
        field = model._meta.get_field(self.field)
        if not isinstance(field, models.ForeignKey):
            raise FieldDoesNotExist(f"{model._meta.label}.{self.field} is not a foreign key")
        return field

    @property
    def owner_column(self) -> str:
        return f"{self.owner}_id"

    def _add(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:
        quote = schema_editor.quote_name
        field = self.foreign_key(model)
        schema_editor.deferred_sql.append(
            f"ALTER TABLE {quote(model._meta.db_table)} ADD CONSTRAINT {quote(self.name)} "
            f"FOREIGN KEY ({quote(self.owner_column)}, {quote(field.column)}) "
            f"REFERENCES {quote(field.related_model._meta.db_table)} (tenant_id, id) DEFERRABLE INITIALLY DEFERRED"
        )

    def constraint_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:  # type: ignore[override]
        self._add(model, schema_editor)

    def create_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:  # type: ignore[override]
        self._add(model, schema_editor)

    def remove_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> str:  # type: ignore[override]
        quote = schema_editor.quote_name
        return f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(self.name)}"

    def validate(
        self,
        model: type[models.Model],
        instance: Any,
        exclude: Collection[str] | None = None,
        using: str = "default",
    ) -> None:
        """Report another tenant's row exactly as one that does not exist."""
        field = self.foreign_key(model)
        value, owner_id = getattr(instance, field.attname), getattr(instance, self.owner_column)
        if value is None or owner_id is None or (exclude and self.field in exclude):
            return
        if field.related_model._base_manager.using(using).filter(tenant_id=owner_id, pk=value).exists():
            return
        params = {"model": field.related_model._meta.verbose_name, "pk": value, "field": "id", "value": value}
        raise ValidationError({self.field: ValidationError(field.error_messages["invalid"], code="invalid", params=params)})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TenantForeignKey) and self.deconstruct() == other.deconstruct()

    def __hash__(self) -> int:
        return hash((self.field, self.name))

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        _, args, kwargs = super().deconstruct()
        owner = {} if self.owner == "tenant" else {"owner": self.owner}
        return "tenants.models.base.TenantForeignKey", args, {**kwargs, **owner, "field": self.field}

    def clone(self) -> Self:
        _, args, kwargs = self.deconstruct()
        return type(self)(*args, **kwargs)
