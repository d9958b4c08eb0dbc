"""Calls for tests: in the tenant in scope, brought where they are by the services a real call passes through."""

from datetime import datetime
from itertools import count
from typing import Any

from agents import testing as agents_testing
from agents.models import Agent
from calls import lifecycle
from calls.clock import database_now
from calls.models import Call, CarrierAccount, PhoneNumber, SipTrunk, WorkerHost
from calls.services import claim_call, end_call, finalize_call, place_call
from calls.services.numbers import add_number
from calls.services.trunks import create_account, create_trunk
from tenants.scope import current_tenant_id

Status = Call.Status
JOB = "job-1"
_number = count(1)
_WAY = (Status.QUEUED, Status.DISPATCHED, Status.IN_PROGRESS, Status.ENDED)


def make_host(**fields: Any) -> WorkerHost:
    """A host that began now and has just beaten."""
    now = fields.pop("at", None) or database_now()
    defaults = {"name": f"host-{next(_number)}", "transport": "local", "slots": 2, "started_at": now, "last_beat_at": now}
    return WorkerHost.objects.create(**defaults | fields)


def make_call(
    *,
    status: str = Status.QUEUED,
    agent: Agent | None = None,
    kind: str = Call.Kind.SIMULATED,
    job_id: str = JOB,
    host: WorkerHost | None = None,
    at: datetime | None = None,
    finalized: bool = False,
    **placed: Any,
) -> Call:
    """A call in `status` (queued, dispatched, in_progress or ended), claimed by `job_id` unless that is ""."""
    call = place_call(agent=agent or agents_testing.make_agent(), kind=kind, host=host, **placed)
    at, reached = at or database_now(), _WAY.index(Status(status))
    if reached >= 1:
        host = host or make_host(at=at)
        lifecycle.advance(call_id=call.pk, to=Status.DISPATCHED, at=at, host_id=host.pk)
        if job_id:
            claim_call(call_id=call.pk, job_id=job_id, host_id=host.pk)
    if reached >= 2:
        lifecycle.advance(call_id=call.pk, to=Status.IN_PROGRESS, at=at)
    if reached >= 3:
        end_call(call_id=call.pk, disposition="completed", ended_reason="caller_hung_up", at=at)
    if finalized:
        finalize_call(call_id=call.pk)
    call.refresh_from_db()
    return call


def make_trunk(**fields: Any) -> SipTrunk:
    """A trunk of the tenant in scope, which LiveKit does not know yet."""
    defaults: dict[str, Any] = {"name": f"Trunk {next(_number)}", "carrier": "other", "address": "sip.example.com"}
    return create_trunk(**defaults | fields)


def make_account(**fields: Any) -> CarrierAccount:
    """An account of the tenant in scope at Vonage, with credentials that say so."""
    defaults = {"name": f"Account {next(_number)}", "carrier": "vonage", "api_key": "a1b2c3d4", "api_secret": "abcdefGH12345678"}
    return create_account(**defaults | fields)


def make_number(*, trunk: SipTrunk | None = None, **fields: Any) -> PhoneNumber:
    """A number of the tenant in scope, over a trunk of its own unless told otherwise."""
    grant = fields.pop("grant", None) or (trunk or make_trunk()).grants.get(tenant_id=current_tenant_id())
    given: dict[str, Any] = {"phone": f"+1202555{next(_number):04d}", "grant": grant}
    return add_number(**given | fields)
