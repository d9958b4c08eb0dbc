"""Celery entry points."""

from uuid import UUID

from celery import shared_task

from tenants.celery_tasks import SystemTask, TenantTask
from tenants.services import delivery, jobs, requests


@shared_task(base=SystemTask)
def drain_outbox() -> None:
    delivery.drain()


@shared_task(base=SystemTask)
def sweep_outbox() -> None:
    delivery.sweep()


@shared_task(base=SystemTask)
def forget_old_requests() -> None:
    requests.forget_old_requests()


@shared_task(base=TenantTask)
def run_job(job_id: str) -> None:
    jobs.run(job_id=UUID(job_id))


@shared_task(base=SystemTask)
def sweep_jobs() -> None:
    jobs.sweep()


@shared_task(base=SystemTask)
def forget_old_job_errors() -> None:
    jobs.forget_old_errors()
