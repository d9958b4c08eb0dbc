"""From the queue to a worker: outbound calls once there is a line, web calls once their browser is there."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q

from calls import lifecycle
from calls.clock import database_now
from calls.errors import LiveKitError, NoLineError
from calls.models import Call, CallEvent
from calls.services.capacity import free_places
from calls.services.dialing import usable_trunk
from calls.services.lines import reserve_line
from calls.telephony.dispatches import dispatch_job
from calls.telephony.names import WEB_PREFIX
from calls.timers import timer
from tenants.models import Tenant
from tenants.scope import current_tenant_id, tenant_scope

logger = structlog.get_logger(__name__)

AT_ONCE: Final = 50
AGAIN_AFTER: Final = timer(10)
Status = Call.Status


def dispatch_due(*, limit: int = AT_ONCE) -> int:
    """Give out waiting outbound calls that are due, oldest first, as long as there are lines and places; how many were given out.

    Calls of all tenants; needs no scope. Any number of these may run at once. Where no host serves, they are given out all
    the same: that nobody takes them is told where they end.
    """
    full: set[UUID] = set()
    done, places = 0, free_places()
    most = limit if places is None else min(limit, places)
    while done < most and (call := _next(full)) is not None:
        with tenant_scope(call.tenant_id):
            admitted = _admit(call.pk)
        if admitted is None:
            full.add(call.grant_id or call.pk)
        elif admitted:
            if not _ask(call):
                break
            done += 1
    return done


def dispatch_joined(rooms: Iterable[str]) -> int:
    """Give out the web calls that wait for their browser, which is in one of these rooms, as long as there are places.

    Returns how many were given out. Needs no scope; any number of these may run at once.
    """
    joined = [room for room in rooms if room.startswith(WEB_PREFIX)]
    if not joined:
        return 0
    waiting = Call.all_objects.filter(status=Status.QUEUED, kind=Call.Kind.WEB, room__in=joined)
    done = 0
    for call in waiting.order_by("created_at", "id")[: free_places()]:
        with tenant_scope(call.tenant_id):
            begun = _begin(call.pk)
        done += begun and _ask(call)
    return done


@transaction.atomic
def _begin(call_id: UUID) -> bool:
    now = database_now()
    if Tenant.objects.get(pk=current_tenant_id()).takes_new_work:
        return lifecycle.advance(call_id=call_id, to=Status.DISPATCHED, at=now)
    lifecycle.end(call_id=call_id, disposition="blocked", ended_reason="suspended", at=now, job_id=lifecycle.UNCLAIMED)
    return False


def _next(full: Iterable[UUID]) -> Call | None:
    now = database_now()
    due = Q(not_before=None) | Q(not_before__lte=now), Q(not_after=None) | Q(not_after__gt=now)
    waiting = Call.all_objects.filter(*due, status=Status.QUEUED, kind=Call.Kind.OUTBOUND).exclude(grant_id__in=list(full))
    return waiting.only("tenant_id", "grant_id", "room").order_by("created_at", "id").first()


@transaction.atomic
def _admit(call_id: UUID) -> bool | None:
    """Whether the call was dispatched; None when its trunk has no line for it now, or another process has the call."""
    locked = Call.objects.select_for_update(no_key=True, skip_locked=True, of=("self",)).select_related("grant__tenant")
    call = locked.filter(pk=call_id, status=Status.QUEUED).first()
    if call is None:
        return None
    now = database_now()
    try:
        usable_trunk(call.grant)
        with transaction.atomic():
            reserve_line(call=call, grant=call.grant)
    except NoLineError as error:
        if error.waits:
            return None
        lifecycle.end(call_id=call_id, disposition="failed", ended_reason=error.code, at=now, detail=str(error))
        return False
    return lifecycle.advance(call_id=call_id, to=Status.DISPATCHED, at=now)


def _ask(call: Call) -> bool:
    """Ask a worker to take the call; a server that does not answer puts it back."""
    try:
        dispatch_job(room=call.room, call_id=call.pk)
    except LiveKitError as error:
        logger.warning("a call could not be dispatched", call_id=str(call.pk), error=str(error))
        with tenant_scope(call.tenant_id), transaction.atomic():
            now = database_now()
            if lifecycle.advance(call_id=call.pk, to=Status.QUEUED, at=now, job_id=lifecycle.UNCLAIMED):
                CallEvent.objects.create(call_id=call.pk, kind="not_dispatched", at=now, data={"error": str(error)[:300]})
        return False
    return True


def dispatch_again(*, now: datetime | None = None) -> int:
    """Ask again, at intervals, for calls that no worker claimed: a server drops what nobody takes at that moment."""
    now = now or database_now()
    late = Call.all_objects.filter(
        status=Status.DISPATCHED,
        kind__in=[Call.Kind.OUTBOUND, Call.Kind.WEB],
        job_id=lifecycle.UNCLAIMED,
        dispatched_at__lte=now - AGAIN_AFTER,
    )
    return sum(_note_again(call, now) and _ask(call) for call in late.only("tenant_id", "room", "dispatched_at"))


def _note_again(call: Call, now: datetime) -> bool:
    """Once for each interval since the call was dispatched."""
    since = call.dispatched_at or now
    key = f"again {since:%Y%m%dT%H%M%S.%f} {(now - since) // AGAIN_AFTER}"
    with tenant_scope(call.tenant_id):
        _, is_new = CallEvent.objects.get_or_create(call_id=call.pk, key=key, defaults={"kind": "dispatched_again", "at": now})
    return bool(is_new)
