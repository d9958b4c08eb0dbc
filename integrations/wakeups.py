"""Asking Celery to send what is due to an endpoint. A wake-up that gets lost delays events and loses none."""

from functools import partial
from typing import Final
from uuid import UUID

from django.db import transaction

from voiceplatform.lib import broker

DELIVER_TASK: Final = "integrations.tasks.deliver_endpoint"


def wake(endpoint_id: UUID, *, tenant_id: UUID) -> bool:
    """False when the broker did not take it."""
    return broker.send(DELIVER_TASK, args=[str(endpoint_id)], tenant_id=tenant_id)


def wake_on_commit(endpoint_id: UUID, *, tenant_id: UUID) -> None:
    transaction.on_commit(partial(wake, endpoint_id, tenant_id=tenant_id), robust=True)
