"""The oracle is the receiver's own log: every event once, in order per object, however the receiver behaves."""

import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.db import connection

from integrations.models import WebhookDelivery
from integrations.services.endpoints import NewSecret
from integrations.services.schedule import Schedule
from integrations.services.sending import MOST_AT_ONCE, deliver
from integrations.tests.conftest import drain
from tenants.models import OutboxEvent, Tenant
from tenants.scope import tenant_scope
from voiceplatform.lib.outbound_http import OutboundClient

pytestmark = pytest.mark.django_db(transaction=True)
PROJECT = Path(__file__).resolve().parents[2]
EVENTS, THINGS = 1000, 40
FAST = Schedule(pauses=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 1.6, 1.6), rests=(0.01, 0.05, 0.1, 0.2))
CLIENT = OutboundClient(allow_loopback=True, deadline_s=1.5)


class Process:
    """The receiver, which can be killed and started again at the same address."""

    def __init__(self, log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.log, self.starts = log, 0

    def start(self, secret: str) -> None:
        self.starts += 1
        command = [sys.executable, "-m", "integrations.tests.receiver", str(self.port), str(self.log), secret, str(self.starts)]
        self.process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "log")
    yield process
    process.kill()


def send_all(tenant: Tenant, endpoint_id: UUID, *, within_s: float) -> None:
    """What Celery's slots do together with the sweep: run after run, until nothing waits."""
    ends = time.monotonic() + within_s
    with tenant_scope(tenant):
        while WebhookDelivery.objects.filter(status="pending").exists() and time.monotonic() < ends:
            if not deliver(endpoint_id=endpoint_id, schedule=FAST, client=CLIENT):
                time.sleep(0.05)
    connection.close()


def test_each_event_arrives_once_and_in_order_at_a_receiver_that_fails_stalls_and_restarts(
    tenant: Tenant, make_endpoint: Callable[..., NewSecret], happen: Callable[..., OutboxEvent], receiver: Process
) -> None:
    made = make_endpoint(url=f"http://127.0.0.1:{receiver.port}/in")
    things = [uuid4() for _ in range(THINGS)]
    sent = [happen(things[number % THINGS]) for number in range(EVENTS)]
    drain()
    receiver.start(made.secret)
    slots = [threading.Thread(target=send_all, args=(tenant, made.row.pk), kwargs={"within_s": 90}) for _ in range(2)]
    for slot in slots:
        slot.start()
    for share in (EVENTS // 3, 2 * EVENTS // 3):
        while len(receiver.lines()) < share and any(slot.is_alive() for slot in slots):
            time.sleep(0.01)
        receiver.kill()
        receiver.start(made.secret)
    for slot in slots:
        slot.join()
    accepted = [line for line in receiver.lines() if line[0] == "accepted"]
    assert sorted(line[1] for line in accepted) == sorted(event.public_id for event in sent)
    assert len(receiver.lines()) - len(accepted) <= 2 * MOST_AT_ONCE, "only answers that a crash cut off are asked for again"
    order = defaultdict(list)
    for _, _, thing, sequence in accepted:
        order[thing].append(int(sequence))
    assert {thing: list(range(1, len(seen) + 1)) for thing, seen in order.items()} == order
    assert set(WebhookDelivery.all_objects.values_list("status", flat=True)) == {"done"}


def test_a_receiver_that_hangs_delays_no_other(
    tenant: Tenant, make_endpoint: Callable[..., NewSecret], happen: Callable[..., OutboxEvent], receiver: Process
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = make_endpoint(url=f"http://127.0.0.1:{silent.getsockname()[1]}/").row
        quick = make_endpoint(url=f"http://127.0.0.1:{receiver.port}/")
        receiver.start(quick.secret)
        for _ in range(20):
            happen()
        drain()
        hanging = threading.Thread(target=send_all, args=(tenant, slow.pk), kwargs={"within_s": 2})
        hanging.start()
        began = time.monotonic()
        with tenant_scope(tenant):
            while quick.row.deliveries.filter(status="pending").exists() and time.monotonic() - began < 5:
                deliver(endpoint_id=quick.row.pk, schedule=FAST, client=CLIENT)
            assert time.monotonic() - began < CLIENT.deadline_s
            assert slow.deliveries.filter(status="done").count() == 0
            assert slow.deliveries.filter(attempts=0).count() >= 19, "the slow one was asked once"
        hanging.join()
