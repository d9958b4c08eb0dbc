"""Long work: asking for it, doing it step by step, cancelling it, and what is forgotten in time.

A step's effect and the note that it is done are committed together, so nothing is done twice, however many workers try
and wherever one of them dies.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from tenants.caller import calling_with, current_api_key_id
from tenants.errors import JobFailedError, JobFinishedError, LeaseLostError, NotInTransactionError, UnknownJobError
from tenants.jobs import HANDLERS, KINDS, Handler, Outcome, Problem, Step
from tenants.models import Job, JobError, JobInput, User
from tenants.services import audit
from voiceplatform.lib import broker
from voiceplatform.lib.ids import uuid7

RUN_TASK: Final = "tenants.tasks.run_job"
LEASE: Final = timedelta(seconds=60)
# A run hands over to a fresh one before Celery or a deployment would cut it off.
RUN_S: Final = 30.0
MAX_ATTEMPTS: Final = 5
FIRST_PAUSE: Final = timedelta(seconds=5)
MOST_ERRORS: Final = 10_000
PLATFORM_FAILED: Final = "The platform failed; it has been logged. Ask for the job again, or tell support its id."
_MOST_WOKEN: Final = 500
_FORGOTTEN_AT_ONCE: Final = 5000
_PIECES_AT_ONCE: Final = 20
State = Job.State
logger = structlog.get_logger(__name__)


def create_job(
    *,
    kind: str,
    options: Mapping[str, Any] | None = None,
    pieces: Iterable[Sequence[Any]] = (),
    actor: User | None = None,
) -> Job:
    """Ask for long work, which begins once the caller's transaction commits.

    `pieces` are kept for the handler until the job has finished, and what they hold is its total. Raises
    UnknownJobError, and NotInTransactionError outside a transaction.
    """
    if kind not in KINDS:
        raise UnknownJobError(f"tenants/jobs.py does not name the kind of job {kind!r}")
    if not connection.in_atomic_block:
        raise NotInTransactionError(f"{kind}: ask for a job in a transaction")
    who = {"created_by": actor, "created_by_key": current_api_key_id()}
    job = Job(kind=kind, options=dict(options or {}), created_at=timezone.now(), **who)
    job.save(force_insert=True)
    if kept := _keep(job, pieces):
        job.total = kept
        job.save(update_fields=["total"])
    audit.record(action="job.created", target=job, actor=actor, data={"kind": kind})
    transaction.on_commit(partial(_wake, job), robust=True)
    return job


def stored_steps(job: Job) -> Iterator[Step]:
    """The pieces a job was given, from its position on."""
    number = int(job.position or 0)
    while piece := JobInput.objects.filter(job=job, number=number).first():
        number += 1
        yield Step(position=str(number), size=len(piece.rows), work=piece.rows)


@transaction.atomic
def cancel_job(*, job: Job, actor: User | None = None, reason: str = "") -> Job:
    """Nothing more is done from now on; what has been done stays. Repeating it changes nothing. Raises JobFinishedError."""
    row: Job = Job.objects.select_for_update(no_key=True, of=("self",)).get(pk=job.pk)
    if row.is_open:
        _close(row, State.CANCELED)
        audit.record(action="job.canceled", target=row, actor=actor, fields=["state"], reason=reason)
    elif row.state != State.CANCELED:
        raise JobFinishedError(f"This job has {row.state} already.")
    return row


def run(*, job_id: UUID, lasts_s: float = RUN_S) -> None:
    """Work on a job of the tenant in scope for a while; wakes itself for what is left.

    Does nothing while another process works on it, and when it has finished.
    """
    job = _claim(job_id)
    if job is None:
        return
    try:
        with _as_asked(job):
            _work(job, HANDLERS[job.kind], ends=monotonic() + lasts_s)
    except LeaseLostError:
        logger.info("a job was cancelled or taken over", job_id=str(job.pk))
    except Exception:
        logger.exception("a job failed", job_id=str(job.pk), kind=job.kind)
        _note_failure(job)


def sweep() -> int:
    """Wake every open job that nobody works on; returns how many the broker took. Needs no scope."""
    woken = 0
    for job in _idle(Job.all_objects.all()).filter(kind__in=HANDLERS).order_by("id")[:_MOST_WOKEN]:
        if not _wake(job):
            break
        woken += 1
    return woken


def forget_old_errors() -> int:
    """Delete, for all tenants and in batches, the refused rows of jobs that finished long ago. Needs no scope."""
    old = JobError.all_objects.filter(job__finished_at__lt=timezone.now() - timedelta(days=settings.VP_JOB_ERROR_DAYS))
    forgotten = 0
    while found := list(old.values_list("pk", flat=True)[:_FORGOTTEN_AT_ONCE]):
        forgotten += JobError.all_objects.filter(pk__in=found).delete()[0]
    return forgotten


def _keep(job: Job, pieces: Iterable[Sequence[Any]]) -> int:
    kept, waiting = 0, []
    for number, rows in enumerate(pieces):
        waiting.append(JobInput(job=job, number=number, rows=list(rows)))
        kept += len(rows)
        if len(waiting) == _PIECES_AT_ONCE:
            JobInput.objects.bulk_create(waiting)
            waiting = []
    JobInput.objects.bulk_create(waiting)
    return kept


def _wake(job: Job) -> bool:
    """A wake-up that gets lost delays the job until the next sweep."""
    return broker.send(RUN_TASK, args=[str(job.pk)], tenant_id=job.tenant_id)


def _as_asked(job: Job) -> AbstractContextManager[None]:
    return calling_with(job.created_by_key) if job.created_by_key else nullcontext()


def _idle(jobs: QuerySet[Job]) -> QuerySet[Job]:
    return jobs.filter(Q(leased_until=None) | Q(leased_until__lte=Now()), state__in=Job.OPEN)


@transaction.atomic
def _claim(job_id: UUID) -> Job | None:
    idle = _idle(Job.objects.filter(pk=job_id, kind__in=HANDLERS))
    job = idle.select_for_update(no_key=True, of=("self",), skip_locked=True).first()
    if job is None:
        return None
    if job.attempts >= MAX_ATTEMPTS:
        # It took its process down each time, so no failure was ever noted.
        _close(job, State.FAILED, error=PLATFORM_FAILED)
        return None
    job.state, job.lease, job.attempts = State.RUNNING, uuid7(), job.attempts + 1
    job.started_at = job.started_at or timezone.now()
    job.leased_until = Now() + LEASE
    job.save(update_fields=["state", "lease", "attempts", "started_at", "leased_until"])
    return job


def _work(job: Job, handler: Handler, *, ends: float) -> None:
    try:
        if handler.count and not job.position:
            Job.objects.filter(pk=job.pk, lease=job.lease).update(total=handler.count(job))
        for step in handler.steps(job):
            _take(job, handler, step)
            if monotonic() > ends:
                _hand_over(job)
                return
    except JobFailedError as error:
        _finish(job, State.FAILED, error=str(error))
    else:
        _finish(job, State.SUCCEEDED)


@transaction.atomic
def _take(job: Job, handler: Handler, step: Step) -> None:
    # The row stays locked until the step is committed: whoever takes the job over or cancels it, waits for that.
    row = _held(job)
    _note(row, step, handler.apply(row, step))


def _held(job: Job) -> Job:
    mine = Job.objects.filter(pk=job.pk, lease=job.lease).select_related("created_by")
    row: Job | None = mine.select_for_update(no_key=True, of=("self",)).first()
    if row is None:
        raise LeaseLostError(f"job {job.pk} is no longer ours")
    return row


def _note(row: Job, step: Step, outcome: Outcome) -> None:
    JobError.objects.bulk_create(_error(row, problem) for problem in outcome.problems[: max(0, MOST_ERRORS - row.failed)])
    row.position, row.done, row.failed = step.position, row.done + step.size, row.failed + len(outcome.problems)
    row.result = row.result | {name: row.result.get(name, 0) + count for name, count in outcome.counts.items()}
    row.attempts, row.leased_until = 0, Now() + LEASE
    row.save(update_fields=["position", "done", "failed", "result", "attempts", "leased_until"])


def _error(job: Job, problem: Problem) -> JobError:
    return JobError(job=job, row=problem.row, field=problem.field[:60], message=problem.message[:300])


def _hand_over(job: Job) -> None:
    if Job.objects.filter(pk=job.pk, lease=job.lease).update(lease=None, leased_until=None, attempts=0):
        _wake(job)


@transaction.atomic
def _finish(job: Job, state: str, *, error: str = "") -> None:
    _close(_held(job), state, error=error)


def _close(row: Job, state: str, *, error: str = "") -> None:
    """Its input goes at once: it may be about people."""
    row.state, row.error, row.finished_at = state, error[:500], timezone.now()
    row.lease = row.leased_until = None
    row.save(update_fields=["state", "error", "finished_at", "lease", "leased_until"])
    JobInput.objects.filter(job=row).delete()


def _note_failure(job: Job) -> None:
    mine = Job.objects.filter(pk=job.pk, lease=job.lease)
    attempts = mine.values_list("attempts", flat=True).first()
    if attempts is None:
        return
    if attempts >= MAX_ATTEMPTS:
        _finish(job, State.FAILED, error=PLATFORM_FAILED)
    else:
        mine.update(lease=None, leased_until=Now() + FIRST_PAUSE * 2**attempts)
