"""A supervisor without a terminal: `manage.py dev --no-wait` starts it, `manage.py dev --stop` ends it."""

import os
import signal
import subprocess
import sys
import time

from voiceplatform.embedded.console import Console
from voiceplatform.embedded.environment import PROJECT
from voiceplatform.embedded.errors import EmbeddedError, HomeInUseError
from voiceplatform.embedded.home import Home
from voiceplatform.embedded.lock import describe_holder, holder_pid

STOP_SECONDS = 90


def start(home: Home, *, only: str | None, console: Console) -> int:
    """Starts a supervisor in a session of its own and returns when its services are ready, or its exit code."""
    home.create()
    if holder_pid(home) is not None:
        raise HomeInUseError(describe_holder(home))
    log = home.logs / "supervisor.log"
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "voiceplatform.embedded", "--ready-fd", str(writer), *(["--only", only] if only else [])]
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output, os.fdopen(reader, "rb") as ready:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env={**os.environ, "VP_HOME": str(home.root)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=[writer],
        )
        os.close(writer)
        is_ready = bool(ready.read(1))
    sys.stderr.write(log.read_text())
    if not is_ready:
        return process.wait()
    console.say(f"running in the background as process {process.pid}; end it with: manage.py dev --stop")
    return 0


def report_ready(fd: int | None) -> None:
    if fd is not None:
        os.write(fd, b"1")
        os.close(fd)


def stop(home: Home, *, console: Console) -> int:
    pid = holder_pid(home)
    if not pid:
        console.say(f"nothing runs on {home.root}")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while holder_pid(home) == pid:
        if time.monotonic() > deadline:
            raise EmbeddedError(f"Process {pid} has not ended after {STOP_SECONDS} s. Mend: kill -9 {pid}")
        time.sleep(0.1)
    console.say(f"stopped process {pid}")
    return 0
