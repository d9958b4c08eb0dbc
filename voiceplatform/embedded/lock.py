"""One supervisor per VP_HOME, and commands that borrow its servers.

`run/lock` is held exclusively by the supervisor for as long as it lives; the kernel frees it when the supervisor dies.
`run/borrowers` is held shared by each command that uses the servers of another process's supervisor.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from voiceplatform.embedded.errors import AlreadyRunning
from voiceplatform.embedded.home import Home, read_json


class HomeLock:
    def __init__(self, home: Home) -> None:
        self.home = home
        self._fd: int | None = None

    def acquire(self) -> None:
        fd = os.open(self.home.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise AlreadyRunning(describe_holder(self.home)) from None
        self._fd = fd
        self.note()

    def note(self, *, web_url: str = "") -> None:
        if self._fd is None:
            return
        text = json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds"), "web": web_url})
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, text.encode(), 0)

    def release(self) -> None:
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None


def holder(home: Home) -> dict[str, str]:
    return {name: str(value) for name, value in read_json(home.lock_file).items()}


def describe_holder(home: Home) -> str:
    who = holder(home)
    pid, web = who.get("pid", "?"), who.get("web", "")
    return (
        f"{home.root} is already in use by process {pid} since {who.get('since', '?')}{f', web at {web}' if web else ''}. "
        f"Mend: stop it (Ctrl-C there, or kill {pid}), or set VP_HOME to another folder."
    )


def _borrowers(home: Home) -> Path:
    return home.run / "borrowers"


@contextmanager
def borrowing(home: Home) -> Iterator[None]:
    fd = os.open(_borrowers(home), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


def is_borrowed(home: Home) -> bool:
    fd = os.open(_borrowers(home), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
