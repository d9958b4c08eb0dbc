"""The web server as the platform starts it, in processes of its own, and a program that asks it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
STARTS_S = 40.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """Listens from the start and answers once it is up."""

    def __init__(self, env: Mapping[str, str], *, log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "voiceplatform.wsgi", "--bind", f"127.0.0.1:{self.port}"]
        command += ["--worker-class", "gthread", "--threads", "8", "--no-control-socket"]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env={**env, "DJANGO_SETTINGS_MODULE": "voiceplatform.settings.test"},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._wait(log)

    def _wait(self, log: Path) -> None:
        deadline = time.monotonic() + STARTS_S
        while True:
            try:
                self.ask("GET", "/healthz", secret="", timeout_s=STARTS_S)
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise RuntimeError(log.read_text()[-2000:]) from None
                time.sleep(0.1)
            else:
                return

    def ask(self, method: str, path: str, body: Any = None, *, secret: str, key: str = "", timeout_s: float = 30.0) -> Answer:
        """Raises OSError, or HTTPException when the server dies before it has answered."""
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"} | (
            {"Idempotency-Key": key} if key else {}
        )
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def kill(self) -> None:
        """kill -9 to the master and its workers at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


DIES = (OSError, HTTPException)
