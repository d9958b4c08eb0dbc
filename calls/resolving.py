"""From a call's id to its tenant: for processes that are told nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from calls.models import Call
from tenants.scope import tenant_scope


@contextmanager
def scope_of_call(call_id: UUID) -> Iterator[None]:
    """Run a block in the scope of the call's tenant. Raises Call.DoesNotExist, NoTenantScopeError in another tenant's scope."""
    tenant_id = Call.all_objects.values_list("tenant_id", flat=True).get(pk=call_id)
    with tenant_scope(tenant_id):
        yield
