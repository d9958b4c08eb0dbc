"""Owns the servers and processes of the embedded profile."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from voiceplatform.embedded import environment, leftovers
from voiceplatform.embedded.errors import EmbeddedError, StartFailed
from voiceplatform.embedded.home import Home, read_json, write_private
from voiceplatform.embedded.lock import HomeLock
from voiceplatform.embedded.process import cap_log
from voiceplatform.embedded.service import Service
from voiceplatform.embedded.unit import State, Unit

LOG_CHECK_SECONDS = 10.0


def say_to_terminal(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


class Supervisor:
    """Starts services, keeps them running and stops them in reverse order.

    with Supervisor(home, services) as supervisor:
        supervisor.start(["postgres", "valkey"])
        supervisor.migrate()
        supervisor.start(["web"])
        supervisor.urls["web"]

    `home` is a folder (VP_HOME); entering raises AlreadyRunning when another supervisor holds it.
    `values` are the user's variables; by default the process environment over `.env`.
    """

    def __init__(
        self,
        home: Path,
        services: Sequence[Service],
        *,
        values: Mapping[str, str] | None = None,
        say: Callable[[str], None] = say_to_terminal,
    ) -> None:
        self.home = Home(home)
        self.values: Mapping[str, str] = environment.given() if values is None else values
        self.say = say
        self.exports: dict[str, str] = {}
        self.urls: dict[str, str] = {}
        self._services = {service.name: service for service in services}
        self._units: dict[str, Unit] = {}
        self._lock = HomeLock(self.home)
        self._changed = threading.Condition(threading.RLock())
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._closing = False

    def __enter__(self) -> Self:
        self.home.create()
        self._lock.acquire()
        self._end_leftovers()
        self.exports = {
            "SECRET_KEY": self.home.secrets().secret_key,
            "VP_SPOOL": str(self.home.root / "spool"),
            "VP_FILES": str(self.home.root / "files"),
            "VP_SUPERVISOR_PID": str(os.getpid()),
        }
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self, names: Iterable[str]) -> None:
        """Starts the named services and returns when all are ready; raises StartFailed with the reason otherwise."""
        fresh = [unit for name in names if name not in self._units and (unit := self._prepare(self._service(name)))]
        self._publish()
        with self._changed:
            for unit in fresh:
                self._units[unit.service.name] = unit
            self._changed.notify_all()
        waiting = list(fresh)
        while waiting:
            with self._changed:
                self._changed.wait(0.2)
            for unit in [unit for unit in waiting if unit.state is not State.WAITING and unit.state is not State.STARTING]:
                waiting.remove(unit)
                if unit.state is State.FAILED:
                    raise StartFailed(unit.problem)
                self.say(f"{unit.service.name:<10} ready in {unit.took:.1f} s")
        self._record()

    def migrate(self) -> None:
        """Brings the database's tables up to date."""
        began = time.monotonic()
        command = [sys.executable, str(environment.PROJECT / "manage.py"), "migrate", "--noinput"]
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, check=False, cwd=environment.PROJECT
        )
        if done.returncode:
            tail = "\n".join(f"    {line}" for line in (done.stdout + done.stderr).splitlines()[-12:])
            raise EmbeddedError(f"manage.py migrate failed:\n{tail}")
        self.say(f"{'migrate':<10} done in {time.monotonic() - began:.1f} s")

    def environment(self) -> dict[str, str]:
        return environment.for_children(values=self.values, exports=self.exports, home=self.home.root)

    def running(self) -> list[str]:
        with self._changed:
            return [name for name, unit in self._units.items() if unit.state is State.READY]

    def close(self) -> None:
        """Stops everything in reverse order. What has been written stays."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._record()
        self._lock.release()

    def _service(self, name: str) -> Service:
        if name not in self._services:
            raise EmbeddedError(f"There is no service {name}. Known: {', '.join(self._services)}.")
        return self._services[name]

    def _prepare(self, service: Service) -> Unit | None:
        if given := next((name for name in service.replaced_by if self.values.get(name)), ""):
            self.say(f"{service.name:<10} not started: {given} is set")
            return None
        launch = service.launch(self)
        if launch is None:
            return None
        self.exports.update(launch.exports)
        if launch.url:
            self.urls[service.name] = launch.url
        log = self.home.logs / f"{service.name}.log"
        return Unit(service=service, launch=launch, log=log, environment=self.environment, say=self.say)

    def _publish(self) -> None:
        self.home.write_env({name: value for name, value in self.exports.items() if name not in self.values})
        self._lock.note(web_url=self.urls.get("web", ""))

    def _record(self) -> None:
        """Writes down what runs, for commands that borrow it and for the supervisor after a kill."""
        with self._changed:
            entries = {
                name: {"pid": unit.process.pid, "born": unit.born, "ready": unit.state is State.READY}
                for name, unit in self._units.items()
                if unit.process is not None and unit.process.poll() is None
            }
        write_private(self.home.state_file, json.dumps(entries, indent=1))

    def _end_leftovers(self) -> None:
        if ended := leftovers.end_recorded(read_json(self.home.state_file)):
            self.say(f"Ended what a killed supervisor left running: {', '.join(ended)}")
        self.home.state_file.unlink(missing_ok=True)

    def _supervise(self) -> None:
        """The only thread that starts processes: they are tied to its life."""
        logs_checked = time.monotonic()
        while not self._closing:
            with self._changed:
                before = [(unit.state, unit.born) for unit in self._units.values()]
                for unit in self._units.values():
                    if unit.state is State.WAITING and self._may_begin(unit):
                        unit.begin()
                    unit.step()
                busy = any(unit.state in {State.WAITING, State.STARTING} for unit in self._units.values())
                if before != [(unit.state, unit.born) for unit in self._units.values()]:
                    self._record()
                    self._changed.notify_all()
                self._changed.wait(0.02 if busy else 0.25)
            if time.monotonic() - logs_checked > LOG_CHECK_SECONDS:
                logs_checked = time.monotonic()
                for log in self.home.logs.glob("*.log"):
                    cap_log(log)
        for unit in reversed(self._units.values()):
            unit.stop()

    def _may_begin(self, unit: Unit) -> bool:
        first = [self._units[name] for name in unit.service.after if name in self._units]
        return all(other.state is State.READY for other in first)
