"""Celery entry points."""

from typing import Any, Final
from uuid import UUID

from celery import shared_task
from celery.signals import worker_process_init, worker_process_shutdown

from integrations.services import deliveries, sweeps
from integrations.services.sender import SENDER
from integrations.wakeups import send_here
from tenants.celery_tasks import SystemTask, TenantTask
from tenants.scope import current_tenant_id

# Longer than one request may take.
_STOPS_WITHIN_S: Final = 15.0


@shared_task(base=TenantTask)
def deliver_endpoint(endpoint_id: str) -> None:
    SENDER.hand_over(UUID(endpoint_id), current_tenant_id())


@shared_task(base=SystemTask)
def sweep_webhooks() -> None:
    sweeps.sweep()


@shared_task(base=SystemTask)
def forget_old_deliveries() -> None:
    deliveries.forget_old_deliveries()


@worker_process_init.connect
def begin_sending(**_: Any) -> None:
    """What this process notes is sent without another message through the broker."""
    send_here(SENDER.hand_over)


@worker_process_shutdown.connect
def finish_sending(**_: Any) -> None:
    SENDER.stop(within_s=_STOPS_WITHIN_S)
