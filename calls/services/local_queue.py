"""Calls that need no server, waiting for a host of this machine."""

from uuid import UUID

from django.db import transaction
from django.db.models import Q

from calls import lifecycle
from calls.clock import database_now
from calls.errors import UnknownHostError
from calls.models import Call, WorkerHost
from tenants.scope import tenant_scope


@transaction.atomic
def take_local_calls(*, host_id: UUID, limit: int, kind: str = Call.Kind.SIMULATED) -> list[UUID]:
    """Dispatch up to `limit` waiting local calls of a kind that are due, oldest first, to a host.

    It takes from all tenants and needs no scope. Hosts that take at the same moment get different calls. Raises
    UnknownHostError for a host that has retired.
    """
    if not WorkerHost.objects.filter(pk=host_id, retired_at=None).exists():
        raise UnknownHostError(f"there is no serving host {host_id}")
    now = database_now()
    due = Q(not_before=None) | Q(not_before__lte=now), Q(not_after=None) | Q(not_after__gt=now)
    waiting = (
        Call.all_objects.filter(*due, status=Call.Status.QUEUED, transport=Call.Transport.LOCAL, host=None, kind=kind)
        .order_by("created_at", "id")
        .select_for_update(skip_locked=True, no_key=True, of=("self",))
        .values_list("pk", "tenant_id")[: max(limit, 0)]
    )
    return [call_id for call_id, tenant_id in list(waiting) if _dispatch(call_id, tenant_id, host_id)]


def _dispatch(call_id: UUID, tenant_id: UUID, host_id: UUID) -> bool:
    with tenant_scope(tenant_id):
        return lifecycle.advance(call_id=call_id, to=Call.Status.DISPATCHED, at=database_now(), host_id=host_id)
