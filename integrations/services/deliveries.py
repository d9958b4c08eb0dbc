"""Writing down what is to be sent to the endpoints of the tenant in scope: on news, for a test, and once more."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from integrations.errors import EndpointDisabledError
from integrations.events import TEST, envelope
from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.services.endpoints import lock_endpoint
from integrations.wakeups import wake_on_commit
from tenants.errors import JobFailedError
from tenants.jobs import REPLAY, Handler, Outcome, Step
from tenants.models import Job, OutboxEvent, User
from tenants.outbox import PAYLOADS, Event
from tenants.services import audit
from tenants.services.jobs import create_job
from voiceplatform.lib.ids import uuid7

FARTHEST_REPLAY: Final = timedelta(days=30)
_BATCH: Final = 500
_GIVEN_UP, _MISSED = "given_up", "missed"
_FORGOTTEN_AT_ONCE: Final = 5000
Status = WebhookDelivery.Status


def note_event(event: Event) -> int:
    """A delivery for each enabled endpoint that takes such events; returns how many. Repeating it adds none.

    In the transaction that settles the outbox's delivery, so that every event is noted exactly once.
    """
    told = PAYLOADS[event.topic]
    takes = Q(event_types=[]) | Q(event_types__contains=[told.type])
    endpoints = list(WebhookEndpoint.objects.filter(takes, status=WebhookEndpoint.Status.ENABLED).order_by("pk"))
    return _note(event, endpoints) if endpoints else 0


@transaction.atomic
def send_test(*, endpoint: WebhookEndpoint, actor: User | None = None, reason: str = "") -> WebhookDelivery:
    """Send an event of type `webhook.test` to one endpoint. Raises EndpointDisabledError."""
    row = _enabled(endpoint)
    about: dict[str, Any] = {"object_type": "webhook_endpoint", "object_id": row.pk}
    last = row.deliveries.filter(**about).aggregate(last=Max("sequence"))["last"] or 0
    event_id, now = uuid7(), timezone.now()
    payload = envelope(
        event_id=event_id, event_type=TEST, at=now, sequence=last + 1, data={"endpoint_id": row.public_id}, livemode=None
    )
    delivery: WebhookDelivery = WebhookDelivery.objects.create(
        endpoint=row, event_id=event_id, event_type=TEST, sequence=last + 1, payload=payload, next_at=now, created_at=now, **about
    )
    audit.record(action="webhook_endpoint.tested", target=row, actor=actor, reason=reason)
    wake_on_commit(row.pk, tenant_id=row.tenant_id)
    return delivery


@transaction.atomic
def resend(*, delivery: WebhookDelivery, actor: User | None = None, reason: str = "") -> WebhookDelivery:
    """Send a delivery once more, under the same event id, with all its retries. Raises EndpointDisabledError.

    Later events of its object may have overtaken it; those that wait still come after it.
    """
    endpoint = _enabled(delivery.endpoint)
    _revive(Q(pk=delivery.pk), endpoint)
    audit.record(action="webhook_delivery.resent", target=delivery, actor=actor, reason=reason)
    wake_on_commit(endpoint.pk, tenant_id=endpoint.tenant_id)
    delivery.refresh_from_db()
    return delivery


@transaction.atomic
def begin_replay(*, endpoint: WebhookEndpoint, since: datetime, actor: User | None = None, reason: str = "") -> Job:
    """Send what an endpoint missed since a moment: what failed for good, and what was never noted for it. A job does it.

    Raises EndpointDisabledError, and ValidationError for more than FARTHEST_REPLAY.
    """
    now = timezone.now()
    if not now - FARTHEST_REPLAY <= since <= now:
        raise ValidationError({"since": f"A moment of the last {FARTHEST_REPLAY.days} days."})
    row = _enabled(endpoint)
    job = create_job(kind=REPLAY, options={"endpoint": str(row.pk), "since": since.isoformat()}, actor=actor)
    audit.record(action="webhook_endpoint.replayed", target=row, actor=actor, reason=reason)
    return job


def replay_count(job: Job) -> int:
    return sum(rows.count() for _, rows in _to_replay(job))


def replay_steps(job: Job) -> Iterator[Step]:
    phase, _, last = job.position.partition(":")
    for name, rows in _to_replay(job):
        if phase == _MISSED and name == _GIVEN_UP:
            continue
        after = UUID(last) if phase == name else UUID(int=0)
        while found := list(rows.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:_BATCH]):
            after = found[-1]
            yield Step(position=f"{name}:{after}", size=len(found), work=(name, found))


def replay_step(job: Job, step: Step) -> Outcome:
    name, found = step.work
    try:
        endpoint = _enabled(WebhookEndpoint(pk=job.options["endpoint"]))
    except (EndpointDisabledError, WebhookEndpoint.DoesNotExist) as error:
        raise JobFailedError("The endpoint has been disabled or deleted meanwhile.") from error
    if name == _GIVEN_UP:
        queued = _revive(Q(pk__in=found, status=Status.DEAD), endpoint)
    else:
        queued = sum(_note(_event(event), [endpoint]) for event in OutboxEvent.objects.filter(pk__in=found).order_by("pk"))
    wake_on_commit(endpoint.pk, tenant_id=endpoint.tenant_id)
    return Outcome({"queued": queued})


REPLAYING: Final = Handler(steps=replay_steps, apply=replay_step, count=replay_count)


def forget_old_deliveries() -> int:
    """Delete, for all tenants and in batches, what has been kept long enough; returns how many rows. Needs no scope."""
    old = WebhookDelivery.all_objects.filter(created_at__lt=timezone.now() - timedelta(days=settings.VP_WEBHOOK_LOG_DAYS))
    forgotten = 0
    while found := list(old.values_list("pk", flat=True)[:_FORGOTTEN_AT_ONCE]):
        forgotten += WebhookDelivery.all_objects.filter(pk__in=found).delete()[0]
    return forgotten


def _to_replay(job: Job) -> tuple[tuple[str, QuerySet[Any]], ...]:
    """First what was given up, then what was never noted; what has happened since the job was asked for is sent in any case.

    Which events are told to customers only those processes know that have loaded every app's handlers.
    """
    endpoint = WebhookEndpoint.objects.filter(pk=job.options["endpoint"]).first()
    if endpoint is None:
        raise JobFailedError("The endpoint has been deleted.")
    span = {"created_at__gte": datetime.fromisoformat(job.options["since"]), "created_at__lte": job.created_at}
    topics = [topic for topic, told in PAYLOADS.items() if not endpoint.event_types or told.type in endpoint.event_types]
    known = WebhookDelivery.objects.filter(endpoint=endpoint).values("event_id")
    given_up = WebhookDelivery.objects.filter(endpoint=endpoint, status=Status.DEAD, **span)
    return (_GIVEN_UP, given_up), (_MISSED, OutboxEvent.objects.filter(topic__in=topics, **span).exclude(pk__in=known))


def _note(event: Event, endpoints: Iterable[WebhookEndpoint]) -> int:
    told = PAYLOADS[event.topic]
    built = told.build(event)
    if built is None:
        return 0
    payload = envelope(
        event_id=event.id,
        event_type=told.type,
        at=event.created_at,
        sequence=event.sequence,
        data=built.data,
        livemode=built.livemode,
    )
    now = timezone.now()
    rows = [
        WebhookDelivery(
            endpoint=endpoint,
            event_id=event.id,
            event_type=told.type,
            object_type=event.object_type,
            object_id=event.object_id,
            sequence=event.sequence,
            payload=payload,
            next_at=now,
            created_at=now,
        )
        for endpoint in endpoints
    ]
    WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True)
    for row in rows:
        wake_on_commit(row.endpoint_id, tenant_id=row.tenant_id)
    return len(rows)


def _revive(which: Q, endpoint: WebhookEndpoint) -> int:
    """One that is being sent right now stays as it is."""
    now = timezone.now()
    idle = Q(leased_until=None) | Q(leased_until__lte=now)
    rows = WebhookDelivery.objects.filter(which, idle, endpoint=endpoint)
    changed: int = rows.update(status=Status.PENDING, attempts=0, next_at=now, settled_at=None, lease=None, leased_until=None)
    return changed


def _enabled(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    row = lock_endpoint(endpoint)
    if row.status != WebhookEndpoint.Status.ENABLED:
        raise EndpointDisabledError("This endpoint is disabled. Enable it first.")
    return row


def _event(row: OutboxEvent) -> Event:
    return Event(
        id=row.pk,
        topic=row.topic,
        object_type=row.object_type,
        object_id=row.object_id,
        sequence=row.sequence,
        data=row.data,
        created_at=row.created_at,
    )
