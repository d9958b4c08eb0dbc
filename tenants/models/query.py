"""Querysets that belong to the tenant scope in which they were built."""

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn
from uuid import UUID

from django.db import models
from django.db.models import Q, sql

from tenants.errors import NoTenantScopeError
from tenants.scope import Scope, current_scope


class ScopedQuery(sql.Query):
    """Remembers the scope it was built in and refuses to be compiled in another one."""

    built_in: Scope | None = None

    def check_scope(self) -> None:
        if self.built_in is not None and current_scope() != self.built_in:
            raise NoTenantScopeError(f"a query built in the scope of {self.built_in} was used in another scope")

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        self.check_scope()
        return super().get_compiler(*args, **kwargs)

    def combine(self, rhs: sql.Query, connector: str) -> None:
        if isinstance(rhs, ScopedQuery):
            rhs.check_scope()
        super().combine(rhs, connector)


class TenantQuerySet(models.QuerySet):
    """Rows of the tenant in scope.

    Raises NoTenantScopeError when it is built or evaluated without a scope, evaluated (also from its cache) in
    another scope than it was built in, or asked to write another tenant's row. The filter is part of construction,
    so no manager or `as_manager()` can leave it out.
    """

    def __init__(
        self,
        model: type[models.Model] | None = None,
        query: sql.Query | None = None,
        using: str | None = None,
        hints: dict[str, models.Model] | None = None,
    ) -> None:
        # Django copies a queryset by an empty one of the same class; it receives the original's query afterwards.
        if query is None and model is not None:
            query = _scoped_query(model)
        super().__init__(model=model, query=query, using=using, hints=hints)

    def _check_scope(self) -> None:
        query = self.query
        if isinstance(query, ScopedQuery):
            query.check_scope()

    def _fetch_all(self) -> None:
        self._check_scope()
        super()._fetch_all()

    def __getitem__(self, key: Any) -> Any:
        self._check_scope()
        return super().__getitem__(key)

    def count(self) -> int:
        self._check_scope()
        return super().count()

    def exists(self) -> bool:
        self._check_scope()
        return super().exists()

    def contains(self, obj: models.Model) -> bool:
        self._check_scope()
        return super().contains(obj)

    def raw(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NoTenantScopeError("raw SQL knows no scope; use the ORM, or a cursor in code that may see all tenants")

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        rows = list(objs)
        for row in rows:
            adopt(row)
        return super().bulk_create(rows, *args, **kwargs)

    def bulk_update(self, objs: Iterable[Any], fields: Iterable[str], batch_size: int | None = None) -> int:
        rows, names = list(objs), list(fields)
        if "tenant" in names:
            raise NoTenantScopeError("a row never changes its tenant")
        for row in rows:
            check_owner(row)
        return super().bulk_update(rows, names, batch_size=batch_size)

    def update(self, **kwargs: Any) -> int:
        self._check_scope()
        if "tenant" in kwargs or "tenant_id" in kwargs:
            raise NoTenantScopeError("a row never changes its tenant")
        return super().update(**kwargs)

    def _update(self, values: Sequence[Any]) -> int:
        self._check_scope()
        changed: int = super()._update(values)  # type: ignore[misc]
        return changed

    def delete(self) -> tuple[int, dict[str, int]]:
        self._check_scope()
        return super().delete()

    def _raw_delete(self, using: str | None) -> int:
        self._check_scope()
        return super()._raw_delete(using)

    @classmethod
    def as_manager(cls) -> "TenantManager":
        return scoped_manager(cls)

    # Django and templates must not call these to look at them.
    update.alters_data = True  # type: ignore[attr-defined]
    _update.alters_data = True  # type: ignore[attr-defined]
    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]
    _raw_delete.alters_data = True  # type: ignore[attr-defined]
    bulk_create.alters_data = True  # type: ignore[attr-defined]
    bulk_update.alters_data = True  # type: ignore[attr-defined]
    _update.queryset_only = False  # type: ignore[attr-defined]
    as_manager.__func__.queryset_only = True  # type: ignore[attr-defined]


class TenantManager(models.Manager.from_queryset(TenantQuerySet)):  # type: ignore[misc]
    """Sees the rows of the tenant in scope; raises NoTenantScopeError when there is no scope."""


def scoped_manager(queryset: type[TenantQuerySet]) -> TenantManager:
    """A TenantManager with the extra methods of `queryset`."""
    manager = type(f"{queryset.__name__}Manager", (TenantManager.from_queryset(queryset),), {})
    instance: TenantManager = manager()
    return instance


def check_owner(row: models.Model) -> None:
    """Raises NoTenantScopeError unless the row belongs to the tenant in scope, or all tenants are in view."""
    scope = current_scope()
    if isinstance(scope, UUID) and getattr(row, "tenant_id", None) != scope:
        raise NoTenantScopeError(f"this {row._meta.verbose_name} belongs to another tenant")


def adopt(row: Any) -> None:
    """Give a new row without a tenant the one in scope. Raises NoTenantScopeError for another tenant's row."""
    scope = current_scope()
    if row.tenant_id is None:
        if not isinstance(scope, UUID):
            raise NoTenantScopeError(f"whose is this {row._meta.verbose_name}? All tenants are in view")
        row.tenant_id = scope
    check_owner(row)


def _scoped_query(model: type[models.Model]) -> ScopedQuery:
    scope = current_scope()
    query = ScopedQuery(model)
    query.built_in = scope
    if isinstance(scope, UUID):
        query.add_q(Q(tenant_id=scope))
    return query
