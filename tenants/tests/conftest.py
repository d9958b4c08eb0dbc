"""Handlers of the tests' own, and a topic they listen to."""

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from tenants import outbox
from tenants.models import OutboxEvent, Tenant
from tenants.scope import tenant_scope
from tenants.topics import TOPICS


@pytest.fixture
def listen() -> Iterator[Callable[..., None]]:
    """Make a handler the only subscriber of the topic `test.happened`, or one of several."""
    before = dict(outbox.HANDLERS)
    outbox.HANDLERS.clear()
    TOPICS["test.happened"] = ()

    def register(handler: outbox.Handler, *, name: str = "tests.note", writes_rows_only: bool = True) -> None:
        TOPICS["test.happened"] += (name,)
        outbox.subscriber(name, topic="test.happened", writes_rows_only=writes_rows_only)(handler)

    yield register
    del TOPICS["test.happened"]
    outbox.HANDLERS.clear()
    outbox.HANDLERS.update(before)


@pytest.fixture
def happen(tenant: Tenant) -> Callable[..., OutboxEvent]:
    """Publish `test.happened` of an object, for `tenant` unless another is given."""

    def publish(object_id: UUID | None = None, *, owner: Tenant = tenant, **data: object) -> OutboxEvent:
        with tenant_scope(owner), transaction.atomic():
            return outbox.publish(topic="test.happened", object_type="thing", object_id=object_id or uuid4(), data=data)

    return publish
