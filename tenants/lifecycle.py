"""The life of a tenant: trial → active ↔ suspended → closing → purged. The only writer of `Tenant.status`."""

from collections.abc import Mapping
from typing import Final

from django.db import transaction

from tenants.errors import TenantNotActiveError
from tenants.models import Tenant, User
from tenants.scope import current_tenant_id, tenant_scope
from tenants.services import audit

Status = Tenant.Status
PREDECESSORS: Final[Mapping[Status, frozenset[Status]]] = {
    Status.ACTIVE: frozenset({Status.TRIAL, Status.SUSPENDED}),
    Status.SUSPENDED: frozenset({Status.TRIAL, Status.ACTIVE}),
    Status.CLOSING: frozenset({Status.TRIAL, Status.ACTIVE, Status.SUSPENDED}),
    Status.PURGED: frozenset({Status.CLOSING}),
}


@transaction.atomic
def advance(*, tenant: Tenant, to: Status, actor: User | None = None, reason: str = "") -> bool:
    """Move a tenant on and record it. False when it is not in a state that leads there: nothing was written."""
    before = Tenant.objects.select_for_update(no_key=True).values_list("status", flat=True).get(pk=tenant.pk)
    moved = Tenant.objects.filter(pk=tenant.pk, status__in=PREDECESSORS.get(to, frozenset())).update(status=to)
    if not moved:
        return False
    tenant.status = to
    with tenant_scope(tenant):
        data = {"from": before, "to": str(to)}
        audit.record(action=f"tenant.{to}", target=tenant, actor=actor, fields=["status"], data=data, reason=reason)
    return True


def require_new_work() -> Tenant:
    """The tenant in scope. Raises TenantNotActiveError when it may begin no new work."""
    tenant = Tenant.objects.get(pk=current_tenant_id())
    if not tenant.takes_new_work:
        raise TenantNotActiveError(f"{tenant.name} is {tenant.status}: no new work begins")
    return tenant
