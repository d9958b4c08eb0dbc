"""Webhooks from commit to receipt: events per second, delay, and a bare loop that posts the same bodies to compare with."""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from standardwebhooks import Webhook

from benchmarks.calls import prepare_database
from benchmarks.report import Report, median, percentile
from integrations.models import WebhookDelivery
from integrations.services.endpoints import NewSecret, create_endpoint
from tenants.models import OutboxEvent, Tenant
from tenants.outbox import publish
from tenants.scope import tenant_scope
from tenants.services.tenants import create_tenant
from voiceplatform.lib.outbound_http import OutboundClient

OBJECTS = 50
_PATIENCE_S = 60.0
_SLOTS = 2


async def receive(log: Path) -> None:
    """A receiver that answers at once and notes when each event came."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        at, headers = time.time(), dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
        await reader.readexactly(int(headers["content-length"]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        lines.write(f"{headers['webhook-id']} {at}\n")

    with log.open("w", buffering=1) as lines:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


class Receiver:
    def __init__(self, log: Path) -> None:
        self.log = log
        command = [sys.executable, "-m", "benchmarks.webhooks", "--receive", str(log)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}/"

    def arrived(self) -> dict[str, float]:
        """The first moment of each event."""
        found: dict[str, float] = {}
        for line in self.log.read_text().splitlines():
            event_id, at = line.split()
            found.setdefault(event_id, float(at))
        return found


@contextlib.contextmanager
def ended(process: subprocess.Popen) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def start_celery() -> subprocess.Popen:
    """As the embedded profile starts it."""
    ours = {"DJANGO_SETTINGS_MODULE": "voiceplatform.settings.web", "VP_OUTBOUND_LOOPBACK": "true"}
    env = {**os.environ, **ours, "FIELD_ENCRYPTION_KEYS": ",".join(settings.FIELD_ENCRYPTION_KEYS)}
    command = [sys.executable, "-m", "celery", "-A", "voiceplatform.celery", "worker", "--concurrency", str(_SLOTS)]
    log = (settings.VP_HOME / "logs" / "bench-celery.log").open("w")
    return subprocess.Popen([*command, "--without-gossip", "--without-mingle"], env=env, stdout=log, stderr=log)


def happen(tenant: Tenant, count: int, *, per_second: float = 0.0) -> dict[str, float]:
    """Publish events of OBJECTS objects, evenly or flat out; gives the moment of each one's commit."""
    things, began, committed = [uuid4() for _ in range(OBJECTS)], time.time(), {}
    with tenant_scope(tenant):
        for number in range(count):
            if per_second:
                time.sleep(max(0.0, began + number / per_second - time.time()))
            with transaction.atomic():
                data = {"feature": f"benchmark-{number}", "enabled": True}
                event = publish(topic="feature.changed", object_type="feature", object_id=things[number % OBJECTS], data=data)
            committed[event.public_id] = time.time()
    return committed


def wait_for(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + _PATIENCE_S
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError("the events did not arrive")
        time.sleep(0.1)


def through_the_platform(tenant: Tenant, receiver: Receiver, count: int, *, per_second: float = 0.0) -> tuple[float, list[float]]:
    """Events per second from the first commit to the last receipt, and milliseconds from commit to receipt of each."""
    committed = happen(tenant, count, per_second=per_second)
    wait_for(lambda: committed.keys() <= receiver.arrived().keys())
    arrived = receiver.arrived()
    took = max(arrived[event_id] for event_id in committed) - min(committed.values())
    return count / took, [(arrived[event_id] - at) * 1000 for event_id, at in committed.items()]


def in_outbox(tenant: Tenant, count: int) -> list[float]:
    """Milliseconds from each of the newest events to the note that it is to be sent."""
    with tenant_scope(tenant):
        noted = dict(WebhookDelivery.objects.order_by("-id").values_list("event_id", "created_at")[:count])
        events = OutboxEvent.objects.filter(pk__in=noted).values_list("pk", "created_at")
        return [(noted[event_id] - at).total_seconds() * 1000 for event_id, at in events]


def bare(made: NewSecret, receiver: Receiver, count: int) -> tuple[float, list[float]]:
    """The bodies that were sent, signed and posted one after the other by the same client."""
    with tenant_scope(made.row.tenant_id):
        payloads = list(WebhookDelivery.objects.order_by("-id").values_list("payload", flat=True)[:count])
    client, webhook, took = OutboundClient(allow_loopback=True), Webhook(made.secret), []
    began = time.perf_counter()
    for payload in payloads:
        started = time.perf_counter()
        body, now, event_id = json.dumps(payload, separators=(",", ":"), sort_keys=True), datetime.now(UTC), payload["id"]
        signed = {"Webhook-Id": event_id, "Webhook-Timestamp": str(int(now.timestamp()))}
        client.post(receiver.url, body=body.encode(), headers={**signed, "Webhook-Signature": webhook.sign(event_id, now, body)})
        took.append((time.perf_counter() - started) * 1000)
    return len(payloads) / (time.perf_counter() - began), took


def measure(*, count: int, per_second: float, seconds: float) -> Report:
    slug = f"benchmark-{uuid4().hex[:12]}"
    tenant = create_tenant(name=slug, slug=slug)
    with tempfile.TemporaryDirectory() as folder:
        receiver = Receiver(Path(folder) / "log")
        with ended(receiver.process), ended(start_celery()):
            with tenant_scope(tenant):
                made = create_endpoint(url=receiver.url)
            through_the_platform(tenant, receiver, 20)
            _, delays = through_the_platform(tenant, receiver, max(1, int(per_second * seconds)), per_second=per_second)
            rate, flat_delays = through_the_platform(tenant, receiver, count)
            noted = in_outbox(tenant, count)
            bare_rate, bare_ms = bare(made, receiver, count)
    report = Report("webhooks")
    report.add(f"delay at {per_second:g} events/s, p50", median(delays), "ms")
    report.add(f"delay at {per_second:g} events/s, p95", percentile(delays, 95), "ms")
    report.add("bare post, p50 / p95", f"{median(bare_ms):.1f} / {percentile(bare_ms, 95):.1f}", "ms")
    report.add("flat out", rate, "events/s")
    report.add("flat out, delay p50 / p95", f"{median(flat_delays):.0f} / {percentile(flat_delays, 95):.0f}", "ms")
    report.add("of it in the outbox, p50 / p95", f"{median(noted):.0f} / {percentile(noted, 95):.0f}", "ms")
    report.add("bare loop", bare_rate, "posts/s")
    report.add("ratio of bare loop to flat out", bare_rate / rate, "×")
    report.notes.append(
        f"{count} events of {OBJECTS} objects flat out, to one endpoint; Celery with {_SLOTS} slots, receiver on this machine"
    )
    report.details = {"delays_ms": delays, "bare_ms": bare_ms}
    return report


def run(*, quick: bool = False, count: int = 1000, per_second: float = 20.0) -> Report:
    return measure(count=20, per_second=10, seconds=1) if quick else measure(count=count, per_second=per_second, seconds=20)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.webhooks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few events, for a smoke test")
    parser.add_argument("--count", type=int, default=1000, help="events flat out")
    parser.add_argument("--per-second", type=float, default=20.0, help="the moderate rate")
    parser.add_argument("--receive", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(receive(options.receive))
        return 0
    settings.VP_OUTBOUND_LOOPBACK = True
    prepare_database()
    return run(quick=options.quick, count=options.count, per_second=options.per_second).publish()


if __name__ == "__main__":
    sys.exit(main())
