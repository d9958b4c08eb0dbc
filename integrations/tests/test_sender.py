"""One process sends to many endpoints at once, and receivers that hang hold up nobody but themselves."""

import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from integrations import wakeups
from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.services.endpoints import NewSecret
from integrations.services.sender import Sender
from integrations.services.sending import deliver
from integrations.tests.conftest import Customer, drain
from tenants.models import OutboxEvent, Tenant
from tenants.scope import tenant_scope
from voiceplatform.lib.outbound_http import OutboundClient

pytestmark = pytest.mark.django_db(transaction=True)
Make = Callable[..., NewSecret]
Happen = Callable[..., OutboxEvent]
rows, hooks = WebhookDelivery.all_objects, WebhookEndpoint.all_objects
PATIENT = OutboundClient(allow_loopback=True, deadline_s=60)
HANGING = 20


@pytest.fixture
def make_sender() -> Iterator[Callable[..., Sender]]:
    made: list[Sender] = []

    def make(**options: Any) -> Sender:
        made.append(Sender(**{"send": partial(deliver, client=PATIENT)} | options))
        return made[-1]

    yield make
    for sender in made:
        sender.stop(within_s=5)


@pytest.fixture
def silence(make_sender: Callable[..., Sender]) -> Iterator[str]:
    """A server that takes connections and answers none; those that wait are reset before the senders stop."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def hand_over(sender: Sender, row: WebhookEndpoint) -> bool:
    return sender.hand_over(row.pk, row.tenant_id)


def wait_until(holds: Callable[[], bool], *, within_s: float = 30.0) -> None:
    ends = time.monotonic() + within_s
    while not holds() and time.monotonic() < ends:
        time.sleep(0.02)
    assert holds()


def test_twenty_receivers_that_hang_delay_no_other(
    tenant: Tenant, other_tenant: Tenant, make_endpoint: Make, happen: Happen, customer: Customer, silence: str,
    make_sender: Callable[..., Sender],
) -> None:  # fmt: skip
    sender = make_sender()
    hanging = [make_endpoint(url=silence).row for _ in range(HANGING - 1)] + [make_endpoint(owner=other_tenant, url=silence).row]
    well = make_endpoint(url=customer.url, description="well").row
    for owner in [tenant] * 10 + [other_tenant]:
        happen(owner=owner)
    drain()
    assert all(hand_over(sender, row) for row in hanging)
    wait_until(lambda: rows.filter(attempts=1, endpoint__in=hanging).count() == HANGING)
    assert hand_over(sender, well)
    wait_until(lambda: rows.filter(endpoint=well, status="done").count() == 10)
    untold = rows.filter(endpoint__in=hanging)
    assert set(untold.values_list("last_error", "status")) == {("", "pending")}, "none of the hanging requests has returned"
    assert untold.filter(attempts=1).count() == HANGING, "each was asked once"
    assert hooks.filter(lease__isnull=False).exclude(pk=well.pk).count() == HANGING


def test_those_that_fail_get_half_of_the_places(
    make_endpoint: Make, happen: Happen, silence: str, make_sender: Callable[..., Sender]
) -> None:
    sender = make_sender(most=4)
    failing = [make_endpoint(url=silence).row for _ in range(3)]
    hooks.update(failing_since=timezone.now())
    well = [make_endpoint(url=silence).row for _ in range(3)]
    happen()
    drain()
    assert [hand_over(sender, row) for row in failing] == [True, True, False]
    assert [hand_over(sender, row) for row in well] == [True, True, False]
    wait_until(lambda: rows.filter(attempts=1).count() == 4)


def test_a_wakeup_during_a_run_is_not_lost(make_endpoint: Make, make_sender: Callable[..., Sender]) -> None:
    began, goes_on, runs = Event(), Event(), []

    def send(*, endpoint_id: UUID, stop: Event) -> int:
        runs.append(endpoint_id)
        began.set()
        assert goes_on.wait(30)
        return 0

    sender, row = make_sender(send=send), make_endpoint().row
    assert hand_over(sender, row)
    assert began.wait(30)
    assert hand_over(sender, row)
    assert hand_over(sender, row)
    goes_on.set()
    wait_until(lambda: runs == [row.pk] * 2)


def test_a_process_that_sends_needs_no_message(
    tenant: Tenant, make_endpoint: Make, happen: Happen, customer: Customer, make_sender: Callable[..., Sender],
    sent_messages: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(wakeups, "_senders", [])
    sender, row = make_sender(), make_endpoint(url=customer.url).row
    wakeups.send_here(sender.hand_over)
    happen()
    drain()
    wait_until(lambda: rows.get().status == "done")
    assert wakeups.DELIVER_TASK not in [message["task"] for message in sent_messages()]
    sender.stop(within_s=5)
    assert wakeups.wake(row.pk, tenant_id=tenant.pk)
    assert sent_messages()[-1]["task"] == wakeups.DELIVER_TASK, "one that has no place asks the others"


def test_a_run_that_breaks_gives_its_place_back(make_endpoint: Make, make_sender: Callable[..., Sender]) -> None:
    runs: list[UUID] = []

    def send(*, endpoint_id: UUID, stop: Event) -> int:
        runs.append(endpoint_id)
        raise RuntimeError("broken")

    sender, row = make_sender(send=send, most=1), make_endpoint().row
    wait_until(lambda: hand_over(sender, row) and len(runs) >= 3)


def test_once_stopped_no_request_begins(
    make_endpoint: Make, happen: Happen, customer: Customer, make_sender: Callable[..., Sender]
) -> None:
    sender, row = make_sender(), make_endpoint(url=customer.url).row
    happen()
    drain()
    sender.stop(within_s=0)
    assert not hand_over(sender, row)
    with tenant_scope(row.tenant_id):
        stopped = Event()
        stopped.set()
        assert deliver(endpoint_id=row.pk, stop=stopped) == 0
    assert (customer.got, hooks.get().lease) == ([], None)
