"""Sweeps: what must happen to a call when nobody else is left to do it.

They run every few seconds, in any number of processes, on the database's clock. Each finds calls of all tenants and
acts on every one in its tenant's scope and a transaction of its own; each act asks again whether it is still due.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from calls import lifecycle
from calls.clock import database_now
from calls.models import Call, CallEvent, Recording, SweepRun, WorkerHost
from calls.services.commands import untaken_hang_ups
from calls.services.finalizing import finalize_call
from calls.services.recordings import lose_recording, was_to_be_recorded
from calls.timers import timer
from tenants.scope import tenant_scope

logger = structlog.get_logger(__name__)

UNCLAIMED_LOCAL: Final = timer(20)
UNCLAIMED_FOR_GOOD: Final = timer(45)
MAX_DISPATCHES: Final = 3
HOST_SILENCE: Final = timer(15)
STEADY_GAP: Final = timer(10)
OVERTIME: Final = timer(60)
FINALIZE_AFTER: Final = timer(60)
FINALIZE_AT_LAST: Final = timedelta(minutes=10)
RETIRED_AFTER: Final = timedelta(hours=1)
CONNECTED_AT_MOST: Final = timedelta(hours=2)

Status, Disposition, Transport = Call.Status, Call.Disposition, Call.Transport


@dataclass(frozen=True, slots=True)
class Swept:
    """How many calls, and at last hosts, were changed by each sweep."""

    requeued: int
    expired: int
    unclaimed: int
    lost: int
    unheeded: int
    overtime: int
    parted: int
    finalized: int
    retired: int


def sweep(*, now: datetime | None = None) -> Swept:
    """Run every sweep once."""
    now = now or database_now()
    gone = Gone.at(now)
    return Swept(
        requeued=requeue_unclaimed(now=now),
        expired=cancel_expired(now=now),
        unclaimed=fail_unclaimed(now=now, gone=gone),
        lost=end_lost(now=now, gone=gone),
        unheeded=end_unheeded(now=now),
        overtime=end_overtime(now=now),
        parted=part_connected(now=now),
        finalized=finalize_abandoned(now=now, gone=gone),
        retired=retire_silent(now=now, gone=gone),
    )


@transaction.atomic
def note_run(*, now: datetime) -> datetime:
    """Write down that the sweeps run now; returns since when they have run without a long gap."""
    begin = {"last_run_at": now, "steady_since": now}
    run, _ = SweepRun.objects.select_for_update(no_key=True).get_or_create(name="calls", defaults=begin)
    if now - run.last_run_at > STEADY_GAP:
        run.steady_since = now
    run.last_run_at = max(now, run.last_run_at)
    run.save(update_fields=["last_run_at", "steady_since"])
    return run.steady_since


@dataclass(frozen=True, slots=True)
class Gone:
    """What the hosts' beats say about who is no longer there."""

    hosts: dict[UUID, WorkerHost]
    silent_before: datetime

    @classmethod
    def at(cls, now: datetime) -> "Gone":
        """A host is silent when it has not beaten while the sweeps ran steadily, else nothing is known yet."""
        steady = now - note_run(now=now) > HOST_SILENCE
        silent_before = now - HOST_SILENCE if steady else datetime.min.replace(tzinfo=now.tzinfo)
        calls = Call.all_objects.filter(finalized_at=None).exclude(host=None).values("host_id")
        serving = WorkerHost.objects.filter(Q(retired_at=None) | Q(pk__in=calls))
        return cls(hosts={host.pk: host for host in serving}, silent_before=silent_before)

    def host(self, host: WorkerHost | None) -> bool:
        return host is not None and (host.retired_at is not None or host.last_beat_at < self.silent_before)

    def host_of(self, call: Call) -> WorkerHost | None:
        """None also for a host that was registered after `hosts` was read."""
        return self.hosts.get(call.host_id) if call.host_id else None

    def job(self, call: Call) -> bool:
        """Whether the claimed call's job went with its host, or is missing from the host's two latest beats, which
        came after the claim."""
        host = self.host_of(call)
        if self.host(host):
            return True
        if not (host and host.previous_beat_at and call.claimed_at and call.claimed_at < host.previous_beat_at):
            return False
        return call.job_id not in host.job_ids and call.job_id not in host.previous_job_ids

    def spooled(self) -> set[str]:
        """Calls whose records some host has still to hand in: the one that had the call, or its successor on that machine."""
        return {call_id for host in self.hosts.values() if host.retired_at is None for call_id in host.spooled_call_ids}


def requeue_unclaimed(*, now: datetime) -> int:
    """A local call that no job claimed in time waits for a host again, until it was dispatched too often."""
    late = _unclaimed(status=Status.DISPATCHED, transport=Transport.LOCAL, dispatched_at__lte=now - UNCLAIMED_LOCAL)

    def requeue(call: Call) -> bool:
        dispatches = CallEvent.objects.filter(call=call, kind=Status.DISPATCHED).count()
        if dispatches < MAX_DISPATCHES:
            return lifecycle.advance(call_id=call.pk, to=Status.QUEUED, at=now, job_id=lifecycle.UNCLAIMED)
        return _no_worker(call, now=now, detail=f"Dispatched {dispatches} times; no job claimed the call.")

    return _each(late, requeue)


def cancel_expired(*, now: datetime) -> int:
    """Calls that still wait for a host at the time they had to begin by."""
    late: dict[str, Any] = {"status": Status.QUEUED, "not_after__lte": now}

    @transaction.atomic
    def cancel(call: Call) -> bool:
        # A host may have taken the call since; one that is locked cannot be dispatched meanwhile.
        if not Call.objects.select_for_update(no_key=True, of=("self",)).filter(pk=call.pk, **late).exists():
            return False
        canceled, reason = Disposition.CANCELED, "never_joined" if _never_joined(call) else "expired"
        return lifecycle.end(call_id=call.pk, disposition=canceled, ended_reason=reason, at=now, job_id=lifecycle.UNCLAIMED)

    return _each(_unclaimed(**late), cancel)


def _never_joined(call: Call) -> bool:
    """A web call that waits again was given out before, so somebody came."""
    return call.kind == Call.Kind.WEB and not CallEvent.objects.filter(call=call, kind=Status.DISPATCHED).exists()


def fail_unclaimed(*, now: datetime, gone: Gone) -> int:
    """Calls in a room that nobody came to, and calls placed for one host that has left."""
    since = now - UNCLAIMED_FOR_GOOD
    nobody = _unclaimed(
        Q(status=Status.DISPATCHED, dispatched_at__lte=since) | Q(status=Status.RINGING, created_at__lte=since),
        transport=Transport.LIVEKIT,
    )
    seconds = int(UNCLAIMED_FOR_GOOD.total_seconds())
    failed = _each(nobody, lambda call: _no_worker(call, now=now, detail=f"No job claimed the call within {seconds} s."))
    orphaned = [call for call in _unclaimed(status=Status.QUEUED).exclude(host=None) if gone.host(gone.host_of(call))]
    return failed + _each(orphaned, lambda call: _no_worker(call, now=now, detail="The host it was placed for has left."))


def end_lost(*, now: datetime, gone: Gone) -> int:
    """Claimed calls whose job is gone."""
    lost = [call for call in _claimed() if gone.job(call)]
    return _each(
        lost,
        lambda call: lifecycle.end(
            call_id=call.pk,
            disposition=Disposition.FAILED,
            ended_reason="worker_lost",
            at=now,
            detail=f"Job {call.job_id} is gone.",
            job_id=call.job_id,
        ),
    )


def end_unheeded(*, now: datetime) -> int:
    """Calls in a room whose job does not hang up though it was told to; of local ones the host ends the job."""
    told = untaken_hang_ups(now=now).values("call_id")
    return _each(
        _claimed().filter(transport=Transport.LIVEKIT, pk__in=told),
        lambda call: lifecycle.end(
            call_id=call.pk,
            disposition=Disposition.CANCELED,
            ended_reason="canceled_by_user",
            at=now,
            detail="The job did not hang up itself.",
            job_id=call.job_id,
        ),
    )


def end_overtime(*, now: datetime) -> int:
    """Claimed calls that their job should have ended long ago."""
    claimed = _claimed().annotate(began_at=Coalesce("answered_at", "claimed_at"))
    over = [call for call in claimed if call.began_at + timedelta(seconds=call.max_duration_s) + OVERTIME < now]
    return _each(
        over,
        lambda call: lifecycle.end(
            call_id=call.pk,
            disposition=Disposition.COMPLETED if call.answered_at else Disposition.FAILED,
            ended_reason="max_duration",
            at=now,
            detail="The job did not end the call itself.",
            job_id=call.job_id,
        ),
    )


def part_connected(*, now: datetime) -> int:
    """Two people whom an agent has connected, after hours in which nobody has seen them part."""
    since = CallEvent.all_objects.filter(call=OuterRef("pk"), kind=Status.HANDED_OVER).order_by("-at").values("at")[:1]
    connected = Call.all_objects.filter(status=Status.HANDED_OVER)
    late = connected.annotate(since=Coalesce(Subquery(since), "answered_at")).filter(since__lte=now - CONNECTED_AT_MOST)
    return _each(
        _light(late),
        lambda call: lifecycle.end(
            call_id=call.pk,
            disposition=Disposition.COMPLETED,
            ended_reason="max_duration",
            at=now,
            detail="The two people whom the agent had connected were parted after two hours.",
        ),
    )


def finalize_abandoned(*, now: datetime, gone: Gone) -> int:
    """Ended calls whose job will not finalise them, once nobody has anything left to say about them."""
    ended = Call.all_objects.filter(status=Status.ENDED, finalized_at=None, ended_at__lte=now - FINALIZE_AFTER)
    spooled = gone.spooled()

    def is_due(call: Call) -> bool:
        waited_long = call.ended_at is not None and call.ended_at <= now - FINALIZE_AT_LAST
        nobody_left = call.job_id == lifecycle.UNCLAIMED or (gone.job(call) and str(call.pk) not in spooled)
        return waited_long or nobody_left

    return _each([call for call in _light(ended) if is_due(call)], _finalize)


def retire_silent(*, now: datetime, gone: Gone) -> int:
    """Hosts that were killed never say goodbye."""
    since = min(gone.silent_before, now - RETIRED_AFTER)
    return WorkerHost.objects.filter(retired_at=None, last_beat_at__lt=since).update(retired_at=now)


def _finalize(call: Call) -> bool:
    with transaction.atomic():
        waiting = Call.objects.select_for_update(no_key=True, of=("self",)).filter(pk=call.pk, finalized_at=None)
        if not waiting.exists():
            return False
        if not Recording.objects.filter(call=call).exists() and was_to_be_recorded(call):
            lose_recording(call, detail="The job ended before it could hand in the recording.")
        return finalize_call(call_id=call.pk)


def _unclaimed(*conditions: Q, **fields: Any) -> Any:
    return _light(Call.all_objects.filter(*conditions, job_id=lifecycle.UNCLAIMED, **fields))


def _claimed() -> Any:
    """Calls that a job holds; two people whom an agent has connected talk on without one."""
    held = Call.all_objects.exclude(status__in=[Status.ENDED, Status.HANDED_OVER]).exclude(job_id=lifecycle.UNCLAIMED)
    return _light(held)


def _light(calls: Any) -> Any:
    return calls.defer("variables", "metadata", "cost_missing").order_by("created_at")


def _no_worker(call: Call, *, now: datetime, detail: str) -> bool:
    return lifecycle.end(
        call_id=call.pk,
        disposition=Disposition.FAILED,
        ended_reason="no_worker",
        at=now,
        detail=detail,
        job_id=lifecycle.UNCLAIMED,
    )


def _each(calls: Iterable[Call], act: Callable[[Call], bool]) -> int:
    """One call that cannot be dealt with does not hold up the others."""
    done = 0
    for call in calls:
        try:
            with tenant_scope(call.tenant_id):
                done += act(call)
        except Exception:
            logger.exception("a sweep failed for one call", call_id=str(call.pk))
    return done
