"""Asking for what is due to an endpoint to be sent: by this process where it sends itself, else by Celery.

A wake-up that gets lost delays events and loses none.
"""

from collections.abc import Callable
from functools import partial
from typing import Final
from uuid import UUID

from django.db import transaction

from voiceplatform.lib import broker

DELIVER_TASK: Final = "integrations.tasks.deliver_endpoint"


_senders: Final[list[Callable[[UUID, UUID], bool]]] = []


def send_here(hand_over: Callable[[UUID, UUID], bool]) -> None:
    """From now on this process sends itself: `hand_over` takes the ids of endpoint and tenant and says whether it had a place."""
    _senders[:] = [hand_over]


def wake(endpoint_id: UUID, *, tenant_id: UUID) -> bool:
    """False when neither this process nor the broker took it."""
    if any(hand_over(endpoint_id, tenant_id) for hand_over in _senders):
        return True
    return broker.send(DELIVER_TASK, args=[str(endpoint_id)], tenant_id=tenant_id)


def wake_on_commit(endpoint_id: UUID, *, tenant_id: UUID) -> None:
    transaction.on_commit(partial(wake, endpoint_id, tenant_id=tenant_id), robust=True)
