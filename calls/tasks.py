"""Celery entry points of the calls app."""

from collections import deque
from uuid import UUID

import structlog
from celery import shared_task

from calls.errors import LiveKitError
from calls.services import dispatching, moving, retention, sweeps, trimming
from calls.telephony import egress, events, mirroring, rooms
from tenants.celery_tasks import SystemTask, TenantTask

logger = structlog.get_logger(__name__)


@shared_task(base=SystemTask)
def sweep_calls() -> None:
    """Runs every few seconds; safe to run any number of times at once."""
    sweeps.sweep()


@shared_task(base=SystemTask)
def dispatch_calls() -> None:
    """Runs when a call is placed or a line becomes free, and every few seconds."""
    dispatching.dispatch_due()
    dispatching.dispatch_again()


@shared_task(base=SystemTask)
def sync_telephony() -> None:
    """Runs after changes and every few seconds; does nothing while another one runs."""
    try:
        mirroring.sync_all()
    except LiveKitError as error:
        logger.warning("trunks and numbers were not brought to LiveKit", error=str(error))


@shared_task(base=SystemTask)
def reconcile_rooms() -> None:
    """Runs every few seconds; safe to run any number of times at once."""
    try:
        rooms.reconcile_rooms()
    except LiveKitError as error:
        logger.warning("rooms were not compared with calls", error=str(error))


@shared_task(base=SystemTask)
def reconcile_egress() -> None:
    """Runs every few seconds; safe to run any number of times at once."""
    try:
        egress.reconcile()
    except LiveKitError as error:
        logger.warning("LiveKit was not asked about recordings", error=str(error))


@shared_task(base=SystemTask)
def handle_provider_events() -> None:
    events.handle_events()


@shared_task(base=TenantTask)
def trim_recording(recording_id: str) -> None:
    """Runs when somebody asks for the copy without silences; repeating it changes nothing."""
    trimming.make_trimmed(UUID(recording_id))


@shared_task(base=SystemTask)
def wake_trimming() -> None:
    trimming.wake_waiting()


@shared_task(base=SystemTask)
def delete_old_recordings() -> None:
    """What is deleted is told in the audit; what cannot be is tried again the next time."""
    deque(retention.apply_retention(), maxlen=0)


@shared_task(base=SystemTask)
def remove_left_behind() -> None:
    """Old copies of recordings that were moved."""
    moving.remove_left_behind()


@shared_task(base=SystemTask)
def forget_old_provider_events() -> None:
    events.forget_old_events()
