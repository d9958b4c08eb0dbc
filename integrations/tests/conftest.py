"""Endpoints that may be on this machine, and news for them."""

from collections.abc import Callable, Iterator
from contextvars import Context
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from standardwebhooks import Webhook

from integrations import handlers as _registered  # noqa: F401
from integrations.models import WebhookDelivery
from integrations.services.endpoints import NewSecret, create_endpoint
from tenants import handlers as _told  # noqa: F401
from tenants import outbox
from tenants.models import OutboxEvent, Tenant
from tenants.scope import tenant_scope
from tenants.services import delivery

URL = "https://hooks.example.com/in"


class Customer:
    """A server that gives one answer after another, the last of them for good, and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[int] = [200]
        self.headers: dict[str, str] = {}
        self.before: Callable[[int], object] = lambda number: None
        self.got: list[tuple[dict[str, str], bytes]] = []
        customer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                customer.got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
                customer.before(len(customer.got) - 1)
                self.send_response(customer.answers.pop(0) if len(customer.answers) > 1 else customer.answers[0])
                for name, value in customer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"thanks\x00")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/in"
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def verified(self, secret: str) -> list[dict[str, Any]]:
        return [Webhook(secret).verify(body, headers) for headers, body in self.got]


@pytest.fixture(autouse=True)
def development(settings: Any) -> None:
    settings.VP_OUTBOUND_LOOPBACK = True


@pytest.fixture
def customer() -> Iterator[Customer]:
    made = Customer()
    yield made
    made.server.shutdown()
    made.server.server_close()


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
    """Outside any scope, as a Celery worker does it; one drain ends after a while, whatever is left."""
    while Context().run(delivery.drain):
        pass


def statuses(rows: Any = WebhookDelivery.all_objects) -> list[str]:
    return list(rows.order_by("id").values_list("status", flat=True))
