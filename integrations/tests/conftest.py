"""Endpoints that may be on this machine, and news for them."""

from collections.abc import Callable
from contextvars import Context
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from integrations import handlers as _registered  # noqa: F401
from integrations.models import WebhookDelivery
from integrations.services.endpoints import NewSecret, create_endpoint
from tenants import handlers as _told  # noqa: F401
from tenants import outbox
from tenants.models import OutboxEvent, Tenant
from tenants.scope import tenant_scope
from tenants.services import delivery

URL = "https://hooks.example.com/in"


@pytest.fixture(autouse=True)
def development(settings: Any) -> None:
    settings.VP_OUTBOUND_LOOPBACK = True


@pytest.fixture
def make_endpoint(tenant: Tenant) -> Callable[..., NewSecret]:
    def make(*, owner: Tenant = tenant, **fields: Any) -> NewSecret:
        with tenant_scope(owner):
            return create_endpoint(**{"url": URL} | fields)

    return make


@pytest.fixture
def happen(tenant: Tenant) -> Callable[..., OutboxEvent]:
    """Publish `feature.changed` of an object; `drain` brings it to the endpoints."""

    def publish(thing: UUID | None = None, *, owner: Tenant = tenant) -> OutboxEvent:
        thing = thing or uuid4()
        with tenant_scope(owner), transaction.atomic():
            data = {"feature": str(thing), "enabled": True}
            return outbox.publish(topic="feature.changed", object_type="feature", object_id=thing, data=data)

    return publish


def drain() -> None:
    """Outside any scope, as a Celery worker does it."""
    Context().run(delivery.drain)


def statuses(rows: Any = WebhookDelivery.all_objects) -> list[str]:
    return list(rows.order_by("id").values_list("status", flat=True))
