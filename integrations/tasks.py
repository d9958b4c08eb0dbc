"""Celery entry points."""

from uuid import UUID

from celery import shared_task

from integrations.services import deliveries, sending, sweeps
from tenants.celery_tasks import SystemTask, TenantTask


@shared_task(base=TenantTask)
def deliver_endpoint(endpoint_id: str) -> None:
    sending.deliver(endpoint_id=UUID(endpoint_id))


@shared_task(base=SystemTask)
def sweep_webhooks() -> None:
    sweeps.sweep()


@shared_task(base=SystemTask)
def forget_old_deliveries() -> None:
    deliveries.forget_old_deliveries()
