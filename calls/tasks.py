"""Celery entry points of the calls app."""

from celery import shared_task

from calls.services import sweeps
from tenants.celery_tasks import SystemTask


@shared_task(base=SystemTask)
def sweep_calls() -> None:
    """Runs every few seconds; safe to run any number of times at once."""
    sweeps.sweep()
