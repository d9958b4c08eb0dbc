"""Long work in steps: once each, whoever works and wherever they die."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from tenants.caller import calling_with, current_api_key_id
from tenants.errors import JobFailedError, JobFinishedError, NotInTransactionError, UnknownJobError
from tenants.jobs import HANDLERS, LEADS, Handler, Outcome, Problem, Step, job_handler
from tenants.models import AuditEvent, Job, JobError, JobInput, Tenant
from tenants.services import jobs
from voiceplatform.lib.ids import uuid7

Make = Callable[..., Job]


@pytest.fixture
def work() -> Iterator[Callable[..., list[Any]]]:
    """Makes a function the work of a step, for jobs of the kind LEADS; gives the list of what was worked on."""
    before = dict(HANDLERS)

    def register(apply: Callable[[Job, Any], Outcome | None] = lambda _job, _work: None) -> list[Any]:
        seen: list[Any] = []

        def step(job: Job, given: Step) -> Outcome:
            outcome = apply(job, given.work) or Outcome({"created": given.size})
            seen.extend(given.work)
            return outcome

        job_handler(LEADS, Handler(steps=jobs.stored_steps, apply=step))
        return seen

    yield register
    HANDLERS.clear()
    HANDLERS.update(before)


@pytest.fixture
def make_job(scope: Tenant) -> Make:
    def make(count: int = 3, **fields: Any) -> Job:
        with transaction.atomic():
            return jobs.create_job(**{"kind": LEADS, "pieces": [[number] for number in range(count)]} | fields)

    return make


def test_a_job_is_worked_on_to_its_end(work: Callable[..., list[Any]], make_job: Make) -> None:
    seen, job = work(), make_job()
    assert (job.state, job.done, job.total) == ("queued", 0, 3)
    jobs.run(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, job.done, job.failed, job.result) == ("succeeded", 3, 0, {"created": 3})
    assert job.started_at <= job.finished_at
    assert (seen, JobInput.objects.count()) == ([0, 1, 2], 0), "its input goes when it ends"
    jobs.run(job_id=job.pk)
    assert seen == [0, 1, 2]


def test_it_is_asked_for_in_a_transaction_and_wakes_a_worker(
    scope: Tenant, sent_messages: Callable[[], list[dict[str, Any]]], django_capture_on_commit_callbacks: Any
) -> None:
    with pytest.raises(UnknownJobError):
        jobs.create_job(kind="leads.fly")
    with django_capture_on_commit_callbacks(execute=True):
        job = jobs.create_job(kind=LEADS)
    [message] = sent_messages()
    assert (message["task"], message["args"]) == ("tenants.tasks.run_job", [str(job.pk)])
    assert message["headers"]["vp_tenant_id"] == str(scope.pk)


@pytest.mark.django_db(transaction=True)
def test_it_is_not_asked_for_outside_a_transaction(scope: Tenant) -> None:
    with pytest.raises(NotInTransactionError):
        jobs.create_job(kind=LEADS)


def test_a_run_that_lasted_long_enough_hands_over(
    work: Callable[..., list[Any]], make_job: Make, sent_messages: Callable[[], list[Any]]
) -> None:
    seen, job = work(), make_job()
    for done in (1, 2, 3):
        jobs.run(job_id=job.pk, lasts_s=0)
        job.refresh_from_db()
        assert (job.done, job.state, job.lease) == (done, "running", None)
    jobs.run(job_id=job.pk)
    job.refresh_from_db()
    assert (seen, job.state, len(sent_messages())) == ([0, 1, 2], "succeeded", 3)


def test_a_job_that_somebody_works_on_is_left_alone(work: Callable[..., list[Any]], make_job: Make) -> None:
    seen, job = work(), make_job()
    Job.objects.update(state="running", lease=uuid7(), leased_until=timezone.now() + timedelta(seconds=30))
    jobs.run(job_id=job.pk)
    assert (seen, jobs.sweep()) == ([], 0)
    Job.objects.update(leased_until=timezone.now())
    assert jobs.sweep() == 1
    jobs.run(job_id=job.pk)
    assert seen == [0, 1, 2]


def test_one_that_was_taken_over_writes_nothing_more(work: Callable[..., list[Any]], make_job: Make) -> None:
    def lose(job: Job, work: list[int]) -> None:
        if work == [0]:
            Job.objects.filter(pk=job.pk).update(lease=uuid7())

    seen, job = work(lose), make_job()
    jobs.run(job_id=job.pk)
    job.refresh_from_db()
    assert (seen, job.done, job.state) == ([0], 1, "running")


def test_cancelling_stops_between_steps_and_keeps_what_is_done(
    work: Callable[..., list[Any]], make_job: Make, make_user: Callable[..., Any]
) -> None:
    seen, job = work(lambda job, work: jobs.cancel_job(job=job, actor=make_user(), reason="Wrong list") and None), make_job()
    jobs.run(job_id=job.pk)
    job.refresh_from_db()
    assert (seen, job.state, job.done <= 1, job.lease) == ([0], "canceled", True, None)
    assert jobs.cancel_job(job=job).state == "canceled"
    assert JobInput.objects.count() == 0
    assert AuditEvent.objects.get(action="job.canceled").reason == "Wrong list"


def test_a_finished_job_is_not_cancelled(work: Callable[..., list[Any]], make_job: Make) -> None:
    work()
    job = make_job()
    jobs.run(job_id=job.pk)
    with pytest.raises(JobFinishedError):
        jobs.cancel_job(job=job)
    assert not AuditEvent.objects.filter(action="job.canceled").exists()


def test_a_job_that_cannot_go_on_says_why(work: Callable[..., list[Any]], make_job: Make) -> None:
    def refuse(_job: Job, _work: Any) -> None:
        raise JobFailedError("The endpoint has been deleted.")

    work(refuse)
    job = make_job()
    jobs.run(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, job.error, job.done) == ("failed", "The endpoint has been deleted.", 0)


def test_a_step_that_breaks_is_tried_again_and_then_given_up(work: Callable[..., list[Any]], make_job: Make) -> None:
    def explode(_job: Job, work: list[int]) -> None:
        if work == [1]:
            raise RuntimeError("secret detail")

    seen, job = work(explode), make_job()
    for tried in range(jobs.MAX_ATTEMPTS + 2):
        jobs.run(job_id=job.pk)
        job.refresh_from_db()
        assert jobs.sweep() == 0, f"it rests after attempt {tried}"
        Job.objects.filter(leased_until__isnull=False).update(leased_until=timezone.now())
    assert (job.state, job.error, job.done, seen) == ("failed", jobs.PLATFORM_FAILED, 1, [0])


def test_one_that_kills_its_worker_each_time_is_given_up(work: Callable[..., list[Any]], make_job: Make) -> None:
    seen, job = work(), make_job()
    Job.objects.update(attempts=jobs.MAX_ATTEMPTS)
    jobs.run(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, seen) == ("failed", [])


def test_refused_rows_are_kept_up_to_a_limit_and_forgotten_in_time(
    work: Callable[..., list[Any]], make_job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_ERRORS", 2)
    work(lambda job, _work: Outcome({"created": 0}, [Problem(job.done + 2, "phone", "x" * 500)]))
    job = make_job()
    jobs.run(job_id=job.pk)
    job.refresh_from_db()
    assert (job.failed, list(JobError.objects.order_by("row").values_list("row", flat=True))) == (3, [2, 3])
    assert jobs.forget_old_errors() == 0
    Job.objects.update(finished_at=timezone.now() - timedelta(days=31))
    assert (jobs.forget_old_errors(), JobError.objects.count(), Job.objects.count()) == (2, 0, 1)


def test_it_works_as_the_key_that_asked(work: Callable[..., list[Any]], make_job: Make) -> None:
    key, used = uuid7(), []
    work(lambda _job, _work: used.append(current_api_key_id()))
    with calling_with(key):
        job = make_job(1)
    jobs.run(job_id=job.pk)
    assert used == [key]
