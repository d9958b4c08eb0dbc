"""An import by several processes, and by one that is killed."""

import subprocess
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from calls import handlers as _registered  # noqa: F401
from calls.models import Lead
from calls.services.imports import PIECE, begin_import
from tenants.jobs import LEADS
from tenants.models import AuditEvent, Job, JobError, Tenant
from tenants.scope import tenant_scope
from tenants.services import jobs
from tenants.testing import WaitingProcesses, go

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = PIECE * 4


@pytest.fixture
def job(tenant: Tenant) -> Job:
    """One row of a hundred is refused."""
    numbers = (f"+1212555{number:04}" if number % 100 else "nonsense" for number in range(ROWS))
    with tenant_scope(tenant):
        return begin_import(kind=LEADS, file=BytesIO("\n".join(["phone", *numbers]).encode()))


@pytest.fixture
def start(waiting_processes: WaitingProcesses, job: Job) -> Callable[..., subprocess.Popen[str]]:
    return partial(waiting_processes.start, "calls.tests.import_process", str(job.tenant_id), str(job.pk))


def facts(job: Job) -> tuple[Any, ...]:
    job.refresh_from_db()
    created = AuditEvent.all_objects.filter(action="lead.created").count()
    return job.state, job.done, job.failed, job.result["created"], Lead.all_objects.count(), JobError.all_objects.count(), created


ALL = ("succeeded", ROWS, ROWS // 100, ROWS - ROWS // 100, ROWS - ROWS // 100, ROWS // 100, ROWS - ROWS // 100)


def test_racing_workers_apply_each_row_once(job: Job, start: Callable[..., subprocess.Popen[str]]) -> None:
    processes = [start() for _ in range(3)]
    go(*processes)
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert facts(job) == ALL


def test_a_worker_killed_in_a_step_leaves_it_to_the_next(
    job: Job, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start("2", str(tmp_path / "here"))
    go(process)
    ends = time.monotonic() + 30
    while not (tmp_path / "here").exists() and time.monotonic() < ends:
        time.sleep(0.05)
    process.kill()
    process.wait()
    job.refresh_from_db()
    assert (job.state, job.done, Lead.all_objects.count()) == ("running", 2 * PIECE, 2 * PIECE - 4)
    assert jobs.sweep() == 0, "its lease still runs"
    Job.all_objects.update(leased_until=timezone.now())
    assert jobs.sweep() == 1
    with tenant_scope(job.tenant_id):
        jobs.run(job_id=job.pk)
    assert facts(job) == ALL


def test_a_lease_that_lapses_in_a_step_lets_nobody_in(
    job: Job, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    go(start("1", str(tmp_path / "here")))
    ends = time.monotonic() + 30
    while not (tmp_path / "here").exists() and time.monotonic() < ends:
        time.sleep(0.05)
    later = timezone.now() + jobs.LEASE * 2
    with pytest.MonkeyPatch.context() as patch, tenant_scope(job.tenant_id):
        patch.setattr(jobs, "Now", lambda: later)
        jobs.run(job_id=job.pk)
    job.refresh_from_db()
    assert (job.done, Lead.all_objects.count()) == (PIECE, PIECE - 2)
