"""Which tenant's rows the running code may touch: one ContextVar, and nothing passes without it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from tenants.errors import NoTenantScopeError

if TYPE_CHECKING:
    from tenants.models import Tenant


class _Everyone:
    """The scope of staff who look at all tenants at once."""

    def __repr__(self) -> str:
        return "EVERYONE"


EVERYONE: Final = _Everyone()
Scope = UUID | _Everyone
_scope: ContextVar[Scope | None] = ContextVar("tenant_scope", default=None)


@contextmanager
def tenant_scope(tenant: "Tenant | UUID") -> Iterator[None]:
    """Run a block for one tenant, given as a saved row or its id.

    Raises NoTenantScopeError for anything else and inside another tenant's scope.
    """
    tenant_id = _tenant_id(tenant)
    current = _scope.get()
    if isinstance(current, UUID) and current != tenant_id:
        raise NoTenantScopeError(f"already in the scope of tenant {current}")
    token = _scope.set(tenant_id)
    try:
        with structlog.contextvars.bound_contextvars(tenant_id=str(tenant_id)):
            yield
    finally:
        _scope.reset(token)


def _tenant_id(tenant: Any) -> UUID:
    if isinstance(tenant, UUID):
        return tenant
    meta = getattr(tenant, "_meta", None)
    # Every unsaved row has an id already, so the id alone does not say that the tenant exists.
    if meta is None or meta.label != "tenants.Tenant" or isinstance(tenant, type) or tenant._state.adding:
        raise NoTenantScopeError(f"tenant_scope needs one saved tenant or its id, not {type(tenant).__name__}")
    tenant_id: UUID = tenant.pk
    return tenant_id


@contextmanager
def all_tenants() -> Iterator[None]:
    """Lift the scope for staff pages that show every tenant; entered by the staff middleware alone."""
    if isinstance(_scope.get(), UUID):
        raise NoTenantScopeError("a tenant's scope cannot be widened to all tenants")
    token = _scope.set(EVERYONE)
    try:
        yield
    finally:
        _scope.reset(token)


def current_scope() -> Scope:
    """The tenant in scope, or EVERYONE. Raises NoTenantScopeError when neither was entered."""
    scope = _scope.get()
    if scope is None:
        raise NoTenantScopeError("no tenant is in scope; enter tenant_scope(tenant) first")
    return scope


def current_tenant_id() -> UUID:
    """The tenant in scope. Raises NoTenantScopeError without one, also while all tenants are in view."""
    scope = current_scope()
    if not isinstance(scope, UUID):
        raise NoTenantScopeError("this needs one tenant, and all tenants are in view")
    return scope
