"""Fifty programs that send one POST with one Idempotency-Key, over HTTP to the web server as the platform starts it."""

import os
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from time import perf_counter
from typing import Final
from uuid import uuid4

from benchmarks.api_rows import House
from benchmarks.report import Report, median, percentile
from calls.models import Call
from tenants.scope import tenant_scope
from tests.api.serving import Answer, Server

CLIENTS: Final = 50


def fifty_at_once(report: Report, house: House) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(os.environ, log=Path(folder) / "web.log")
        try:
            _send_all(report, house, server)
        finally:
            server.kill()


def _send_all(report: Report, house: House, server: Server) -> None:
    barrier, key, before = Barrier(CLIENTS), uuid4().hex, _count(house)
    body = {"agent_id": house.agent.public_id, "kind": "simulated"}

    def send(_number: int) -> tuple[Answer, float]:
        barrier.wait()
        began = perf_counter()
        return server.ask("POST", "/api/v1/calls", body, secret=house.secret, key=key), (perf_counter() - began) * 1000

    server.ask("GET", "/api/v1/me", secret=house.secret)
    with ThreadPoolExecutor(CLIENTS) as pool:
        sent = list(pool.map(send, range(CLIENTS)))
    answers, times = [answer for answer, _ in sent], [took for _, took in sent]
    made, bodies = _count(house) - before, {answer.body for answer in answers if answer.status == 201}
    report.add(f"calls placed by {CLIENTS} clients with one key", made, target="1", ok=made == 1)
    report.add("  different answers of those done", len(bodies), target="1", ok=len(bodies) == 1)
    report.add("  statuses", ", ".join(f"{status} × {number}" for status, number in Counter(a.status for a in answers).items()))
    report.add("  latency, median / p95", f"{median(times):.0f} / {percentile(times, 95):.0f}", "ms")


def _count(house: House) -> int:
    with tenant_scope(house.tenant):
        return Call.objects.filter(status=Call.Status.QUEUED).count()
