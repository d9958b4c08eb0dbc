"""Sending to many endpoints at once from one process, so that receivers which hang hold up nobody but themselves.

Whoever wakes the sending hands an endpoint over and is done. A process that dies leaves leases behind, which lapse; the
sweep then wakes the sending again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock, Thread
from time import monotonic
from typing import Final
from uuid import UUID

import structlog
from django.db import connections

from integrations.models import WebhookEndpoint
from integrations.services.sending import deliver
from tenants.scope import tenant_scope

MOST_AT_ONCE: Final = 32
logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Run:
    thread: Thread
    failing: bool
    again: bool = False


class Sender:
    """Endpoints that have been failing get half of the `most` places at most, so that the others always find one."""

    def __init__(self, *, most: int = MOST_AT_ONCE, send: Callable[..., int] = deliver) -> None:
        self._most, self._send = most, send
        self._lock, self._stop = Lock(), Event()
        self._runs: dict[UUID, _Run] = {}

    def hand_over(self, endpoint_id: UUID, tenant_id: UUID) -> bool:
        """Send to an endpoint of a tenant. False when all places are taken; the sweep asks again."""
        with self._lock:
            if (run := self._runs.get(endpoint_id)) is not None:
                run.again = True
                return True
        with tenant_scope(tenant_id):
            failing = WebhookEndpoint.objects.filter(pk=endpoint_id, failing_since__isnull=False).exists()
        with self._lock:
            if self._stop.is_set() or not self._has_place(failing=failing):
                return False
            if endpoint_id not in self._runs:
                thread = Thread(target=self._run, args=(endpoint_id, tenant_id), name="webhooks", daemon=True)
                self._runs[endpoint_id] = _Run(thread, failing)
                thread.start()
        return True

    def stop(self, *, within_s: float) -> None:
        """Begin no request any more and wait for those that have begun."""
        self._stop.set()
        with self._lock:
            threads = [run.thread for run in self._runs.values()]
        ends = monotonic() + within_s
        for thread in threads:
            thread.join(max(0.0, ends - monotonic()))

    def _has_place(self, *, failing: bool) -> bool:
        if len(self._runs) >= self._most:
            return False
        return not failing or sum(run.failing for run in self._runs.values()) < self._most // 2

    def _run(self, endpoint_id: UUID, tenant_id: UUID) -> None:
        try:
            with tenant_scope(tenant_id):
                while True:
                    self._send(endpoint_id=endpoint_id, stop=self._stop)
                    if self._is_done(endpoint_id):
                        return
        except Exception:
            logger.exception("sending to a webhook endpoint failed", endpoint_id=str(endpoint_id))
            with self._lock:
                self._runs.pop(endpoint_id, None)
        finally:
            connections.close_all()

    def _is_done(self, endpoint_id: UUID) -> bool:
        """A wake-up that came while the run was ending is not lost."""
        with self._lock:
            run = self._runs[endpoint_id]
            if run.again and not self._stop.is_set():
                run.again = False
                return False
            del self._runs[endpoint_id]
            return True


SENDER: Final = Sender()
