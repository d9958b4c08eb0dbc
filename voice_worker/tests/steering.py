"""Acting in running calls, and waiting for what becomes of it."""

import time
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async

from calls.models import Call, CallCommand
from calls.services.actions import Wanted, request_action
from tenants.models import Tenant, TenantLimits
from tenants.scope import tenant_scope
from voice_worker.entrypoint import Job

Kind = CallCommand.Kind


def _order(tenant: Tenant, call_id: UUID, wanted: Wanted) -> UUID:
    with tenant_scope(tenant):
        return request_action(Call.objects.get(pk=call_id), wanted).pk


def _outcome(tenant: Tenant, action_id: UUID, timeout_s: float) -> tuple[str, str, dict[str, Any]]:
    until = time.monotonic() + timeout_s
    with tenant_scope(tenant):
        while True:
            action = CallCommand.objects.select_related("call").get(pk=action_id)
            if action.outcome:
                events = action.call.events.filter(kind__startswith="action_", data__action_id=action.public_id)
                (event,) = events.values_list("data", flat=True)
                extra = {key: value for key, value in event.items() if key not in ("action", "action_id", "reason")}
                return action.state, action.outcome_reason, extra
            assert time.monotonic() < until, f"{action.kind} is still {action.state}"
            time.sleep(0.05)


async def order(tenant: Tenant, job: Job, kind: Kind, **fields: Any) -> UUID:
    """Asks for an action in the call of a job; returns the action's id."""
    return await sync_to_async(_order)(tenant, job.call_id, Wanted(kind=kind, **fields))


async def outcome(tenant: Tenant, action_id: UUID, *, timeout_s: float = 15.0) -> tuple[str, str, dict[str, Any]]:
    """State, reason and what else is told of an action, once it is over."""
    return await sync_to_async(_outcome)(tenant, action_id, timeout_s)


async def act(tenant: Tenant, job: Job, kind: Kind, **fields: Any) -> tuple[str, str]:
    """Asks for an action and waits until it is over."""
    state, reason, _ = await outcome(tenant, await order(tenant, job, kind, **fields))
    return state, reason


async def running(tenant: Tenant, job: Job) -> None:
    """Returns once the database has the call as running."""

    def wait() -> None:
        with tenant_scope(tenant):
            until = time.monotonic() + 10
            while Call.objects.get(pk=job.call_id).status != Call.Status.IN_PROGRESS:
                assert time.monotonic() < until
                time.sleep(0.05)

    await sync_to_async(wait)()


async def as_phone_call(tenant: Tenant, job: Job) -> None:
    """Makes the running call one of somebody who calls in, as far as the database can tell."""
    await running(tenant, job)

    def change() -> None:
        with tenant_scope(tenant):
            facts = {"kind": "inbound", "transport": "livekit", "room": f"in_{job.call_id}", "persona": ""}
            Call.objects.filter(pk=job.call_id).update(**facts)
            TenantLimits.objects.update(allowed_countries=["US"])

    await sync_to_async(change)()
