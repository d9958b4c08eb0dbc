"""Entering and leaving a tenant's scope."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import structlog

from tenants.errors import NoTenantScopeError
from tenants.models import Membership, Tenant
from tenants.scope import EVERYONE, all_tenants, current_scope, current_tenant_id, tenant_scope


@pytest.mark.parametrize("given", [None, [], "0199", 7, Tenant, [uuid4()], Tenant(name="unsaved")])
def test_a_scope_needs_one_saved_tenant(given: Any) -> None:
    with pytest.raises(NoTenantScopeError), tenant_scope(given):
        pass


def test_another_row_is_no_tenant(tenant: Tenant, make_member: Callable[..., Membership]) -> None:
    with pytest.raises(NoTenantScopeError), tenant_scope(make_member(tenant)):  # type: ignore[arg-type]
        pass


def test_a_scope_is_left_also_after_an_error(tenant: Tenant) -> None:
    with pytest.raises(ZeroDivisionError), tenant_scope(tenant):
        raise ZeroDivisionError
    with pytest.raises(NoTenantScopeError):
        current_scope()


def test_scopes_nest_only_for_the_same_tenant(tenant: Tenant, other_tenant: Tenant) -> None:
    with tenant_scope(tenant), tenant_scope(tenant.pk):
        assert current_tenant_id() == tenant.pk
        with pytest.raises(NoTenantScopeError), tenant_scope(other_tenant):
            pass
        with pytest.raises(NoTenantScopeError), all_tenants():
            pass
        assert current_tenant_id() == tenant.pk


def test_all_tenants_narrows_to_one_and_is_no_tenant_itself(tenant: Tenant) -> None:
    with all_tenants():
        assert current_scope() is EVERYONE
        with pytest.raises(NoTenantScopeError):
            current_tenant_id()
        with tenant_scope(tenant):
            assert current_tenant_id() == tenant.pk
        assert current_scope() is EVERYONE


def test_a_scope_does_not_reach_other_threads(scope: Tenant) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(NoTenantScopeError):
        pool.submit(current_scope).result()


def test_log_lines_carry_the_tenant(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        assert structlog.contextvars.get_contextvars()["tenant_id"] == str(tenant.pk)
    assert "tenant_id" not in structlog.contextvars.get_contextvars()
