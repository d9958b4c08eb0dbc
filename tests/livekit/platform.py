"""The platform beside a carrier: a worker host on the LiveKit server, and the test's view of the database."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, connections

from calls.errors import LiveKitError
from calls.models import Call, WorkerHost
from calls.services import dispatching, sweeps
from calls.telephony import rooms
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.services import delivery
from tests.livekit.rig import until
from voice_worker.tests.failing import until as wait_for
from voiceplatform.embedded.environment import PROJECT
from voiceplatform.embedded.supervisor import Supervisor


def database_url(**instead: Any) -> str:
    """Of the test's database as it is now, or with another `host` and `port`."""
    known = connection.get_connection_params() | instead
    where = {"host": str(known["host"]), "port": str(known.get("port", 5432))}
    return f"postgres://{quote(known['user'])}:{quote(known['password'])}@/{known['dbname']}?{urlencode(where)}"


class Worker:
    """`manage.py run_voice_worker --livekit` in a process of its own, on the test's database."""

    def __init__(self, server: Supervisor, *, drain_s: float = 5, says: str = "the host takes calls", **environment: str) -> None:
        """Started once it `says` that."""
        self._drain_s, self._says = drain_s, says
        self.folder = Path(tempfile.mkdtemp(prefix="worker-"))
        self._output = self.folder / "output"
        self.env = {
            **os.environ,
            **server.exports,
            "DATABASE_URL": database_url(),
            "VP_SPOOL": str(self.folder / "spool"),
            "VP_FILES": str(self.folder / "files"),
            "DJANGO_SETTINGS_MODULE": "tests.fakes.worker_settings",
            "PYTHONPATH": str(PROJECT),
            "FIELD_ENCRYPTION_KEYS": ",".join(settings.FIELD_ENCRYPTION_KEYS),
            **environment,
        }
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "manage.py", "run_voice_worker", "--livekit", "--drain", str(self._drain_s)]
        with self._output.open("ab") as output:
            process = subprocess.Popen(
                command, env=self.env, cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while self._says not in self._output.read_text():
            assert process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)
        return process

    def said(self) -> str:
        return self._output.read_text()[-20_000:]

    async def exit_code(self, *, seconds: float) -> int:
        """Once it has ended by itself."""
        await until(lambda: self.process.poll() is not None, seconds=seconds)
        return self.process.wait()

    def kill(self) -> None:
        """The whole host, job processes too, at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self.kill()
        if kind:
            sys.stderr.write(self.said())
        shutil.rmtree(self.folder, ignore_errors=True)


class Crew:
    """A worker that serves several tests, one after the other; one that was killed is replaced."""

    def __init__(self, server: Supervisor, environment: dict[str, str]) -> None:
        self._server, self._environment = server, environment
        self._worker: Worker | None = None

    def worker(self) -> Worker:
        """Ready to take calls; it registers anew with a database that was emptied."""
        if self._worker is None or self._worker.process.poll() is not None:
            self.dismiss()
            self._worker = Worker(self._server, **self._environment)
        wait_for(lambda: WorkerHost.objects.filter(retired_at=None).exists(), timeout_s=20)
        return self._worker

    def rest(self) -> None:
        """Returns when nothing is left to hand in, so that nobody writes while the database is emptied."""
        if self._worker and self._worker.process.poll() is None:
            spool = self._worker.folder / "spool"
            wait_for(lambda: not [path for path in spool.rglob("*") if path.is_file()], timeout_s=20)

    def dismiss(self) -> None:
        if self._worker:
            self._worker.__exit__(None, None, None)
        self._worker = None


async def in_db(step: Any, *args: Any, **kwargs: Any) -> Any:
    """Run a database step of the test; its connection is closed after it."""

    def run() -> Any:
        try:
            return step(*args, **kwargs)
        finally:
            connections.close_all()

    return await sync_to_async(run)()


async def as_tenant(tenant: Tenant, step: Any, *args: Any, **kwargs: Any) -> Any:
    """Run a database step in the tenant's scope."""

    def run() -> Any:
        with tenant_scope(tenant):
            return step(*args, **kwargs)

    return await in_db(run)


async def call_as(tenant: Tenant, call_id: Any) -> Call:
    found: Call = await as_tenant(tenant, Call.objects.get, pk=call_id)
    return found


async def call_is(tenant: Tenant, call_id: Any, status: str, *, seconds: float = 20) -> Call:
    """The call, once it is there."""
    deadline = time.monotonic() + seconds
    while (call := await call_as(tenant, call_id)).status != status:
        assert time.monotonic() < deadline, f"the call is {call.status}: {call.ended_reason} {call.ended_detail}"
        await asyncio.sleep(0.1)
    return call


async def the_call(tenant: Tenant, **which: Any) -> Call:
    """The tenant's call, once there is one."""
    found: Call = await until(lambda: as_tenant(tenant, lambda: Call.objects.filter(**which).first()), seconds=20)
    return found


async def the_host() -> WorkerHost:
    found: WorkerHost = await in_db(WorkerHost.objects.get)
    return found


class Caretaker:
    """What Celery does in production: sweeps, dispatching, the outbox and the comparison of rooms, round after round."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        duties = [dispatching.dispatch_due, dispatching.dispatch_again, sweeps.sweep, delivery.drain, rooms.reconcile_rooms]
        while True:
            for duty in duties:
                # A server that is away is asked again in the next round, as Celery does.
                with suppress(LiveKitError, DatabaseError):
                    await in_db(duty)
            await asyncio.sleep(0.3)
