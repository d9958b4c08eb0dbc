"""Owns the servers and processes of the embedded profile."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from voiceplatform.embedded import environment, leftovers, preflight
from voiceplatform.embedded.console import Console
from voiceplatform.embedded.errors import EmbeddedError, StartError
from voiceplatform.embedded.home import Home, read_json, write_private
from voiceplatform.embedded.lock import HomeLock, closing
from voiceplatform.embedded.process import cap_log
from voiceplatform.embedded.service import Service
from voiceplatform.embedded.unit import State, Unit

LOG_CHECK_SECONDS = 10.0


class Supervisor:
    """Starts services, keeps them running and stops them in reverse order.

        with Supervisor(home, SERVICES) as supervisor:
            supervisor.start(["postgres", "valkey"])
            supervisor.migrate()
            supervisor.start(["web"])
            supervisor.urls["web"]

    `home` is a folder (VP_HOME); entering raises HomeInUseError when another supervisor holds it.
    `values` are the user's variables; by default the process environment over `.env`.
    """

    def __init__(
        self,
        home: Path,
        services: Sequence[Service],
        *,
        values: Mapping[str, str] | None = None,
        console: Console | None = None,
    ) -> None:
        self.home = Home(home)
        self.values: Mapping[str, str] = environment.given() if values is None else values
        self.exports: dict[str, str] = {}
        self.urls: dict[str, str] = {}
        self._console = console or Console()
        self._services = {service.name: service for service in services}
        self._units: dict[str, Unit] = {}
        self._lock, self._shut = HomeLock(self.home), ExitStack()
        self._since = datetime.now(UTC)
        self._changed = threading.Condition(threading.RLock())
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._closing = False
        self._broken: Exception | None = None

    def __enter__(self) -> Self:
        preflight.check_system()
        self.home.create()
        preflight.check_space(self.home.root)
        self._lock.acquire()
        self._lock.note(since=self._since)
        if ended := leftovers.end_recorded(read_json(self.home.state_file)):
            self.say(f"ended what a killed supervisor left running: {', '.join(ended)}")
        self.home.state_file.unlink(missing_ok=True)
        self.exports = {
            "SECRET_KEY": self.home.secrets().secret_key,
            "FIELD_ENCRYPTION_KEYS": self.home.secrets().field_encryption_key,
            "VP_SPOOL": str(self.home.root / "spool"),
            "VP_FILES": str(self.home.root / "files"),
            "VP_SUPERVISOR_PID": str(os.getpid()),
        }
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def say(self, text: str) -> None:
        self._console.say(text)

    def start(self, names: Iterable[str], *, strict: bool = True) -> None:
        """Starts the named services and returns when all are ready; what runs already is left alone.

        Raises StartError with the reason when one fails. With strict=False an optional service that fails is only
        reported, and the rest goes on without it.
        """
        began: dict[str, float] = {}
        fresh: list[Unit] = []
        for name in names:
            began[name] = time.monotonic()
            if unit := self._prepare(self._service(name), strict=strict):
                fresh.append(unit)
        self._publish()
        with self._changed:
            self._units.update({unit.service.name: unit for unit in fresh})
            self._changed.notify_all()
        while fresh:
            self._console.pending(f"starting {', '.join(unit.service.name for unit in fresh)} …")
            with self._changed:
                self._changed.wait(0.2)
            self.check()
            for unit in [unit for unit in fresh if unit.settled]:
                fresh.remove(unit)
                self._tell_outcome(unit, seconds=time.monotonic() - began[unit.service.name], strict=strict)

    def migrate(self) -> None:
        """Brings the database's tables up to date."""
        began = time.monotonic()
        self._console.pending("migrating the database …")
        command = [sys.executable, str(environment.PROJECT / "manage.py"), "migrate", "--noinput"]
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, check=False, cwd=environment.PROJECT
        )
        if done.returncode:
            tail = "\n".join(f"    {line}" for line in (done.stdout + done.stderr).splitlines()[-12:])
            raise EmbeddedError(f"manage.py migrate failed:\n{tail}")
        self.say(f"{'migrate':<10} done in {time.monotonic() - began:.1f} s")

    def environment(self) -> dict[str, str]:
        """The environment of an application process, with the addresses of everything started so far."""
        return environment.for_children(values=self.values, exports=self.exports, home=self.home.root)

    def running(self) -> list[str]:
        with self._changed:
            return [name for name, unit in self._units.items() if unit.state is State.READY]

    def check(self) -> None:
        """Raises when supervision itself has come to an end, for example because the disk is full."""
        if self._broken:
            raise EmbeddedError(f"The supervisor of {self.home.root} failed: {self._broken}") from self._broken

    def watch(self) -> None:
        """Returns when somebody stops this process; raises as `check` does."""
        try:
            while True:
                self.check()
                time.sleep(1)
        except KeyboardInterrupt:
            return

    def wait_for_borrowers(self) -> None:
        """Returns when no other command uses these servers, and lets no new one in."""
        told = False
        while not self._shut.enter_context(closing(self.home)):
            self._shut.close()
            if not told:
                self.say("another command uses these servers; they stop when it ends (Ctrl-C stops them now)")
                told = True
            time.sleep(0.2)

    def close(self) -> None:
        """Stops everything in reverse order. What has been written stays."""
        with self._shut:
            self._shut.enter_context(closing(self.home))
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            if self._thread.is_alive():
                self._thread.join()
            self._console.clear()
            self.home.state_file.unlink(missing_ok=True)
            self._lock.release()

    def _service(self, name: str) -> Service:
        if name not in self._services:
            raise EmbeddedError(f"There is no service {name!r}. Known: {', '.join(self._services)}.")
        return self._services[name]

    def _prepare(self, service: Service, *, strict: bool) -> Unit | None:
        name = service.name
        if name in self._units and self._units[name].state is not State.FAILED:
            return None
        if given := next((variable for variable in service.replaced_by if self.values.get(variable)), ""):
            self.say(f"{name:<10} not started: {given} is set")
            return None
        may_fail = service.optional and not strict
        if service.needs and service.needs not in self.environment():
            if may_fail:  # who would have given it has said why it is not there
                return None
            raise EmbeddedError(f"{name} needs {service.needs}. Mend: set it, or start {name} together with what gives it.")
        self._console.pending(f"preparing {name} …")
        try:
            launch = service.launch(self)
        except EmbeddedError as error:
            if not may_fail:
                raise
            self.say(f"{name:<10} not started: {error}")
            return None
        self.exports.update(launch.exports)
        if launch.url:
            self.urls[name] = launch.url
        return Unit(
            service=service, launch=launch, log=self.home.logs / f"{name}.log", environment=self.environment, say=self.say
        )

    def _tell_outcome(self, unit: Unit, *, seconds: float, strict: bool) -> None:
        if unit.state is not State.FAILED:
            self.say(f"{unit.service.name:<10} ready in {seconds:.1f} s")
        elif strict or not unit.service.optional:
            raise StartError(unit.problem)
        else:
            self.say(unit.problem)

    def _publish(self) -> None:
        self.home.write_env({name: value for name, value in self.exports.items() if name not in self.values})
        self._lock.note(since=self._since, web_url=self.urls.get("web", ""))

    def _record(self) -> None:
        """Writes down what runs, for commands that borrow it and for the supervisor after a kill."""
        entries = {
            name: {
                "pid": unit.process.pid,
                "born": unit.born,
                "stop": int(unit.service.stop_signal),
                "ready": unit.state is State.READY,
            }
            for name, unit in self._units.items()
            if unit.process is not None
        }
        write_private(self.home.state_file, json.dumps(entries, indent=1))

    def _supervise(self) -> None:
        """The only thread that starts processes: they are tied to its life."""
        logs_checked = time.monotonic()
        try:
            while not self._closing:
                with self._changed:
                    self._changed.wait(0.02 if self._step() else 0.25)
                if time.monotonic() - logs_checked > LOG_CHECK_SECONDS:
                    logs_checked = time.monotonic()
                    for log in self.home.logs.glob("*.log"):
                        cap_log(log)
        except Exception as error:  # noqa: BLE001 whatever it is, the services must not stay behind unwatched
            self._broken = error
        for unit in reversed(self._units.values()):
            self._console.pending(f"stopping {unit.service.name} …")
            unit.stop()

    def _step(self) -> bool:
        """Moves every service on; true while one is starting."""
        units = list(self._units.values())
        before = [(unit.state, unit.born) for unit in units]
        for unit in units:
            if unit.state is State.WAITING and self._may_begin(unit):
                unit.begin()
            unit.step()
        if before != [(unit.state, unit.born) for unit in units]:
            self._record()
            self._changed.notify_all()
        return not all(unit.settled for unit in units)

    def _may_begin(self, unit: Unit) -> bool:
        first = [self._units[name] for name in unit.service.after if name in self._units]
        return all(other.state in {State.READY, State.FAILED} for other in first)
