"""A local host in processes of its own, as in production, and a speech process that needs no model."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from django.conf import settings

from agents import testing as agents_testing
from benchmarks.sounds import voice_like
from calls.models import Call, CallCommand
from calls.services import place_call
from calls.services.chats import start_chat
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker.audio import RATE
from voice_worker.tests.failing import until

START_S = 60.0


class FakeSpeech:
    """The speech process's interface: every line is the same second of sound, whatever is heard means nothing."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Speech)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Speech(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    _sound = voice_like(1.0).tobytes()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        heard = json.dumps({"text": "I see."}).encode()
        body, kind = (self._sound, "audio/L16") if self.path == "/v1/synthesize" else (heard, "application/json")
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), "X-Sample-Rate": str(RATE)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence."""


class HostProcess:
    """`run_voice_worker --local`, its forkserver and its jobs: one process group."""

    def __init__(self, env: Mapping[str, str], *, log: Path) -> None:
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "run_voice_worker", "--local"],
                cwd=settings.BASE_DIR,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._family = psutil.Process(self._process.pid)
        try:
            until(lambda: self.is_alive() and "the host takes calls" in log.read_text(), timeout_s=START_S)
        except AssertionError:
            self.kill_all()
            raise AssertionError(log.read_text()[-3000:]) from None

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def job(self) -> psutil.Process:
        """The process of the one call: born from the forkserver, so not from the host itself."""
        [job] = [child for child in self._family.children(recursive=True) if child.ppid() != self._process.pid]
        return job

    def kill(self) -> None:
        """The host alone."""
        self._process.kill()
        self._process.wait()

    def kill_all(self) -> None:
        """As when the power fails."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def place(tenant: Tenant) -> UUID:
    """A simulated call that waits for whichever host comes."""
    with tenant_scope(tenant):
        agent = agents_testing.make_agent(settings={"opening": {"greeting": "Hello there."}})
        call: Call = place_call(agent=agent, kind=Call.Kind.SIMULATED, persona="hours_and_message")
    return call.pk


def place_chat(tenant: Tenant, text: str) -> CallCommand:
    """The first message of a chat that waits for whichever host comes."""
    with tenant_scope(tenant):
        _, message = start_chat(agent=agents_testing.make_agent(), message=text)
    assert message
    return message


def told(call: Call) -> list[tuple[int, str, str]]:
    return list(call.turns.order_by("sequence").values_list("sequence", "speaker", "text"))


def ending(call: Call) -> tuple[str, str, str]:
    return call.status, call.disposition, call.ended_reason


def stored_recording(call: Call) -> Any:
    """Once the call is finalised and its recording is where it belongs."""
    return call.finalized_at and call.recordings.filter(state="stored").first()
