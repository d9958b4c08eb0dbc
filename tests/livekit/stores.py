"""A PostgreSQL that a test may stop and start, and servers that it may kill."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from django.core.management import call_command
from django.db import connection, connections

from tests.embedded.conftest import forget
from voiceplatform.embedded.home import read_json
from voiceplatform.embedded.postgres import POSTGRES
from voiceplatform.embedded.process import spawn
from voiceplatform.embedded.services import SERVICES
from voiceplatform.embedded.supervisor import Supervisor
from voiceplatform.settings import env


class OwnPostgres:
    """With the platform's tables. `start` belongs to the thread that outlives it: the server dies with its thread."""

    def __init__(self, folder: Path) -> None:
        # Killing the server takes nothing from the disk that the kernel has.
        self._supervisor = Supervisor(folder, SERVICES, values={"PATH": os.environ["PATH"], "VP_POSTGRES_FSYNC": "off"})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        home = self._supervisor.__enter__().home
        self._log, self._launch = home.logs / "postgres.log", POSTGRES.launch(self._supervisor)
        self.start()
        self._supervisor.exports |= {**self._launch.exports, "REDIS_URL": os.environ["REDIS_URL"]}
        self._supervisor.migrate()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self._supervisor.close()
        forget(self._supervisor.home.root)
        shutil.rmtree(self._supervisor.home.root, ignore_errors=True)

    def start(self) -> None:
        """Returns when it answers; what a crash left is recovered first."""
        self._launch.before()
        assert self._launch.env is not None
        assert self._launch.ready is not None
        account, env_, cwd = self._launch.account, self._launch.env, self._launch.cwd
        self._process = spawn(self._launch.argv, env=env_, cwd=cwd, log=self._log, account=account, death_signal=signal.SIGINT)
        deadline = time.monotonic() + 30
        while not self._launch.ready():
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """At once, as in a crash: sessions are cut off and nothing is put in order."""
        if self._process:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """From here on, every connection of this process goes there; afterwards its tables are empty."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATABASE_URL", self._launch.url)
            given = env.database()
            connections.close_all()
            for name in ("HOST", "PORT", "USER", "PASSWORD", "NAME", "OPTIONS"):
                patch.setitem(connection.settings_dict, name, given.get(name, {} if name == "OPTIONS" else ""))
            try:
                yield
                self._empty()
            finally:
                connections.close_all()

    def _empty(self) -> None:
        # Those of before a crash are of no use.
        connections.close_all()
        if self._process is None:
            self.start()
        call_command("flush", verbosity=0, interactive=False)


def pid_of(server: Supervisor, name: str) -> int:
    """Of a service under a supervisor."""
    return int(read_json(server.home.state_file)[name]["pid"])


def kill(server: Supervisor, name: str) -> None:
    """Its supervisor, which runs in this process, starts it again."""
    os.kill(pid_of(server, name), signal.SIGKILL)


def has_come_back(server: Supervisor, name: str, *, from_pid: int) -> bool:
    state = read_json(server.home.state_file).get(name, {})
    return bool(state.get("ready") and state["pid"] != from_pid)
