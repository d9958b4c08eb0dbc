"""From a call's id to its tenant: for processes that are told nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from uuid import UUID

from calls.models import Call
from tenants.scope import tenant_scope


@contextmanager
def scope_of_call(call_id: UUID) -> Iterator[None]:
    """Run a block in the scope of the call's tenant. Raises Call.DoesNotExist, NoTenantScopeError in another tenant's scope."""
    with tenant_scope(_tenant_of(call_id)):
        yield


@lru_cache(maxsize=1024)
def _tenant_of(call_id: UUID) -> UUID:
    """A call never changes its tenant, and its job asks with everything it writes down."""
    tenant_id: UUID = Call.all_objects.values_list("tenant_id", flat=True).get(pk=call_id)
    return tenant_id
