"""Publishing news in the transaction of the change it tells of, and registering who handles it.

Delivery is in `tenants/services/delivery.py`; which subscriber hears which topic is in `tenants/topics.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from tenants.errors import NotInTransactionError, UnknownTopicError
from tenants.models import OutboxDelivery, OutboxEvent, OutboxSequence
from tenants.scope import current_tenant_id
from tenants.topics import TOPICS
from voiceplatform.lib import broker
from voiceplatform.lib.ids import uuid7

DRAIN_TASK: Final = "tenants.tasks.drain_outbox"


@dataclass(frozen=True, slots=True)
class Event:
    """What a handler is told. `sequence` counts the events of one object, in the order they were committed."""

    id: UUID
    topic: str
    object_type: str
    object_id: UUID
    sequence: int
    data: Mapping[str, Any]
    created_at: datetime


Handler = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Subscription:
    name: str
    handler: Handler
    writes_rows_only: bool


HANDLERS: Final[dict[str, Subscription]] = {}


def subscriber(name: str, *, topic: str, writes_rows_only: bool = True) -> Callable[[Handler], Handler]:
    """Register the idempotent handler of a subscriber that `tenants/topics.py` names for `topic`.

    It runs in the scope of the event's tenant. With `writes_rows_only` it runs in one transaction with the note
    that it is done, so its rows are written exactly once; without, at least once and outside a transaction.
    """
    if name not in TOPICS.get(topic, ()):
        raise UnknownTopicError(f"tenants/topics.py does not name {name!r} as a subscriber of {topic!r}")

    def register(handler: Handler) -> Handler:
        if name in HANDLERS and HANDLERS[name].handler is not handler:
            raise UnknownTopicError(f"{name!r} has a handler already; one handler may listen to several topics")
        HANDLERS[name] = Subscription(name=name, handler=handler, writes_rows_only=writes_rows_only)
        return handler

    return register


@dataclass(frozen=True, slots=True)
class Payload:
    """What customers are told about an event: public ids and plain values. `livemode` is None where it says nothing."""

    data: Mapping[str, Any]
    livemode: bool | None = None


PayloadBuilder = Callable[[Event], Payload | None]


@dataclass(frozen=True, slots=True)
class CustomerEvent:
    """How a topic is told to customers, under a name of its own."""

    type: str
    build: PayloadBuilder


PAYLOADS: Final[dict[str, CustomerEvent]] = {}


def payload_builder(topic: str, *, event_type: str) -> Callable[[PayloadBuilder], PayloadBuilder]:
    """Register how an event of `topic` is told to customers, as `event_type`.

    It runs in the scope of the event's tenant and gives None when there is nothing to tell any more.
    """
    if topic not in TOPICS:
        raise UnknownTopicError(f"tenants/topics.py does not name the topic {topic!r}")

    def register(build: PayloadBuilder) -> PayloadBuilder:
        if topic in PAYLOADS and PAYLOADS[topic].build is not build:
            raise UnknownTopicError(f"{topic!r} is told to customers in one way only")
        PAYLOADS[topic] = CustomerEvent(type=event_type, build=build)
        return build

    return register


def publish(*, topic: str, object_type: str, object_id: UUID, data: Mapping[str, Any] | None = None) -> OutboxEvent:
    """Tell subscribers of `topic`, once the current transaction commits, what happened to one object.

    Raises NotInTransactionError outside a transaction and UnknownTopicError for a topic that is not declared.
    """
    if topic not in TOPICS:
        raise UnknownTopicError(f"tenants/topics.py does not name the topic {topic!r}")
    if not connection.in_atomic_block:
        raise NotInTransactionError(f"{topic}: publish in the transaction of the change")
    now = timezone.now()
    event: OutboxEvent = OutboxEvent.objects.create(
        topic=topic,
        object_type=object_type,
        object_id=object_id,
        sequence=_next_sequence(object_type, object_id),
        data=dict(data or {}),
        created_at=now,
    )
    OutboxDelivery.objects.bulk_create(_delivery(event, name, now) for name in TOPICS[topic])
    if TOPICS[topic]:
        _wake_on_commit()
    return event


def _delivery(event: OutboxEvent, subscriber_name: str, now: datetime) -> OutboxDelivery:
    return OutboxDelivery(
        event=event,
        subscriber=subscriber_name,
        object_type=event.object_type,
        object_id=event.object_id,
        sequence=event.sequence,
        next_at=now,
    )


def _next_sequence(object_type: str, object_id: UUID) -> int:
    """The row stays locked until the caller commits, so a later number is never visible before an earlier one."""
    table = connection.ops.quote_name(OutboxSequence._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} AS sequence (id, tenant_id, object_type, object_id, last) VALUES (%s, %s, %s, %s, 1) "  # noqa: S608 - our own table's name
            "ON CONFLICT (tenant_id, object_type, object_id) DO UPDATE SET last = sequence.last + 1 RETURNING last",
            [uuid7(), current_tenant_id(), object_type, object_id],
        )
        (last,) = cursor.fetchone()
    return int(last)


def _wake_on_commit() -> None:
    """One wake-up per transaction, however many events it publishes.

    One that a rolled back savepoint takes with it leaves this list, so the next event adds it again.
    """
    if not any(hook[1] is wake for hook in connection.run_on_commit):
        transaction.on_commit(wake, robust=True)


def wake() -> None:
    """Ask a Celery worker to deliver what is due."""
    broker.send(DRAIN_TASK)
