import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from voiceplatform.embedded.environment import PROJECT
from voiceplatform.embedded.home import Home
from voiceplatform.embedded.postgres_files import ROOT_BASE
from voiceplatform.embedded.services import SERVICES
from voiceplatform.embedded.supervisor import Supervisor

# Blank values keep a developer's .env out; fsync guards against a power cut, which no test brings about.
VALUES = {"PATH": os.environ["PATH"], "VP_POSTGRES_FSYNC": "off"}
BLANK = dict.fromkeys(["DATABASE_URL", "DATABASE_HOST", "REDIS_URL", "VP_SUPERVISED"], "")
SERVERS = ["postgres", "valkey"]


@pytest.fixture
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="vp-"))
    yield path
    forget(path)


@pytest.fixture(scope="module")
def running() -> Iterator[Supervisor]:
    """Both servers, for tests that only look."""
    path = Path(tempfile.mkdtemp(prefix="vp-"))
    with supervise(path) as supervisor:
        supervisor.start(SERVERS)
        yield supervisor
    forget(path)


def forget(path: Path) -> None:
    shutil.rmtree(ROOT_BASE / Home(path).digest, ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)


def supervise(home: Path, **values: str) -> Supervisor:
    return Supervisor(home, SERVICES, values=VALUES | values)


def child_env(home: Path, **more: str) -> dict[str, str]:
    return {**VALUES, **BLANK, "VP_HOME": str(home), "PYTHONPATH": str(PROJECT), **more}


def dev_process(home: Path, *arguments: str, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "voiceplatform.embedded", *arguments]
    return subprocess.Popen(command, env=child_env(home), cwd=PROJECT, pass_fds=pass_fds, stderr=subprocess.DEVNULL)


def dev(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "voiceplatform.embedded", *arguments]
    return subprocess.run(
        command, env=child_env(home, **more), cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60
    )


def dev_started(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A supervisor in a process of its own, once its services are ready."""
    reader, writer = os.pipe()
    process = dev_process(home, "--ready-fd", str(writer), *arguments, pass_fds=(writer,))
    os.close(writer)
    with os.fdopen(reader, "rb") as ready:
        assert ready.read(1) == b"1"
    return process


def until(condition: Callable[[], object], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def keep_row(url: str, text: str) -> None:
    with psycopg.connect(url) as db:
        db.execute("CREATE TABLE IF NOT EXISTS kept (line text)")
        db.execute("INSERT INTO kept VALUES (%s)", [text])


def kept_rows(url: str) -> list[str]:
    with psycopg.connect(url) as db:
        return [line for (line,) in db.execute("SELECT line FROM kept ORDER BY line")]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False
