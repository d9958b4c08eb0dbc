"""Celery entry points."""

from celery import shared_task

from tenants.celery_tasks import SystemTask
from tenants.services import delivery, requests


@shared_task(base=SystemTask)
def drain_outbox() -> None:
    delivery.drain()


@shared_task(base=SystemTask)
def sweep_outbox() -> None:
    delivery.sweep()


@shared_task(base=SystemTask)
def forget_old_requests() -> None:
    requests.forget_old_requests()
