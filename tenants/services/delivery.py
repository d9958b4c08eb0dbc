"""Delivering outbox events: lease one that is due, run its handler, note the result."""

from datetime import timedelta
from time import monotonic
from typing import Final

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from tenants.errors import LeaseLostError
from tenants.models import OutboxDelivery, User
from tenants.outbox import HANDLERS, Event, Subscription, wake
from tenants.scope import tenant_scope
from tenants.services import audit
from voiceplatform.lib.ids import uuid7

LEASE: Final = timedelta(seconds=60)
MAX_ATTEMPTS: Final = 10
FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(hours=1)
# A drain hands over to a fresh one before Celery or a deployment would cut it off.
DRAIN_S: Final = 30.0

Status = OutboxDelivery.Status
logger = structlog.get_logger(__name__)


def drain() -> int:
    """Deliver everything that is due, in order per subscriber and object; returns how many handlers ran."""
    ran, ends = 0, monotonic() + DRAIN_S
    while (delivery := _lease_next()) is not None:
        _deliver(delivery)
        ran += 1
        if monotonic() > ends:
            wake()
            break
    return ran


def sweep() -> bool:
    """Wake a drain if something is due: a wake-up that got lost delays an event and loses none."""
    due = _due().exists()
    if due:
        wake()
    return due


@transaction.atomic
def revive(*, delivery: OutboxDelivery, actor: User, reason: str) -> bool:
    """Try a dead delivery again. False when it is not dead. Later events of its object may have overtaken it."""
    row = OutboxDelivery.objects.filter(pk=delivery.pk, status=Status.DEAD)
    revived = row.update(status=Status.PENDING, attempts=0, next_at=Now(), settled_at=None, lease=None, leased_until=None)
    if revived:
        audit.record(action="outbox.revived", target=delivery, actor=actor, fields=["status"], reason=reason)
        transaction.on_commit(wake, robust=True)
    return bool(revived)


def _due() -> QuerySet[OutboxDelivery]:
    earlier = OutboxDelivery.all_objects.filter(
        tenant=OuterRef("tenant"),
        subscriber=OuterRef("subscriber"),
        object_type=OuterRef("object_type"),
        object_id=OuterRef("object_id"),
        sequence__lt=OuterRef("sequence"),
        status=Status.PENDING,
    )
    free = Q(leased_until=None) | Q(leased_until__lte=Now())
    mine = OutboxDelivery.all_objects.filter(status=Status.PENDING, next_at__lte=Now(), subscriber__in=HANDLERS)
    return mine.filter(free).filter(~Exists(earlier))


def _lease_next() -> OutboxDelivery | None:
    """Take the delivery that waited longest, committed before its handler runs."""
    while True:
        with transaction.atomic(durable=True):
            rows = _due().select_related("event").select_for_update(skip_locked=True, no_key=True, of=("self",))
            delivery = rows.order_by("next_at", "id").first()
            if delivery is None:
                return None
            delivery.lease = uuid7()
            taken = OutboxDelivery.all_objects.filter(pk=delivery.pk)
            if delivery.attempts < MAX_ATTEMPTS:
                delivery.attempts += 1
                taken.update(lease=delivery.lease, leased_until=Now() + LEASE, attempts=delivery.attempts)
                return delivery
            # Its handler took the whole process down each time, so no failure was ever noted.
            error = f"{delivery.last_error}\nThe process died while handling it.".strip()
            taken.update(status=Status.DEAD, settled_at=Now(), last_error=error)


def _deliver(delivery: OutboxDelivery) -> None:
    subscription = HANDLERS[delivery.subscriber]
    with tenant_scope(delivery.tenant_id):
        try:
            _run(delivery, subscription)
        except LeaseLostError:
            logger.warning("another drain took a delivery over", subscriber=delivery.subscriber, delivery=str(delivery.pk))
        except Exception as error:
            logger.exception("an outbox handler failed", subscriber=delivery.subscriber, delivery=str(delivery.pk))
            _note_failure(delivery, error)


def _run(delivery: OutboxDelivery, subscription: Subscription) -> None:
    event = _event(delivery)
    if not subscription.writes_rows_only:
        subscription.handler(event)
        _note_done(delivery)
        return
    with transaction.atomic():
        # Noted first: the row stays locked while the handler runs, so nobody runs it beside us, however long it takes.
        _note_done(delivery)
        subscription.handler(event)


def _event(delivery: OutboxDelivery) -> Event:
    row = delivery.event
    return Event(
        id=row.pk,
        topic=row.topic,
        object_type=row.object_type,
        object_id=row.object_id,
        sequence=row.sequence,
        data=row.data,
        created_at=row.created_at,
    )


def _note_done(delivery: OutboxDelivery) -> None:
    mine = OutboxDelivery.objects.filter(pk=delivery.pk, lease=delivery.lease, status=Status.PENDING)
    if not mine.update(status=Status.DONE, settled_at=timezone.now(), lease=None, leased_until=None):
        raise LeaseLostError(f"delivery {delivery.pk} is no longer ours")


def _note_failure(delivery: OutboxDelivery, error: Exception) -> None:
    mine = OutboxDelivery.objects.filter(pk=delivery.pk, lease=delivery.lease, status=Status.PENDING)
    told = f"{type(error).__name__}: {error}"[:2000]
    if delivery.attempts >= MAX_ATTEMPTS:
        mine.update(status=Status.DEAD, settled_at=Now(), last_error=told, lease=None, leased_until=None)
    else:
        pause = min(FIRST_PAUSE * 2 ** (delivery.attempts - 1), LONGEST_PAUSE)
        mine.update(next_at=Now() + pause, last_error=told, lease=None, leased_until=None)
