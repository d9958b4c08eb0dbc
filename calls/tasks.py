"""Celery entry points of the calls app."""

from celery import shared_task

from calls.services import dispatching, sweeps
from tenants.celery_tasks import SystemTask


@shared_task(base=SystemTask)
def sweep_calls() -> None:
    """Runs every few seconds; safe to run any number of times at once."""
    sweeps.sweep()


@shared_task(base=SystemTask)
def dispatch_calls() -> None:
    """Runs when a call is placed or a line becomes free, and every few seconds."""
    dispatching.dispatch_due()
    dispatching.dispatch_again()
