"""One supervisor per VP_HOME, and commands that borrow its servers.

`run/lock` is held exclusively by the supervisor for as long as it lives; the kernel frees it when the supervisor dies.
`run/borrowers` is held shared by each command that uses servers another process owns, and exclusively by an owner
that is about to stop them.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from voiceplatform.embedded.errors import HomeInUseError
from voiceplatform.embedded.home import Home, read_json


class HomeLock:
    def __init__(self, home: Home) -> None:
        self.home = home
        self._fd: int | None = None

    def acquire(self) -> None:
        fd = os.open(self.home.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        for _ in range(5):  # somebody may be looking, see `holder_pid`
            if _try_lock(fd, fcntl.LOCK_EX):
                self._fd = fd
                return
            time.sleep(0.05)
        os.close(fd)
        raise HomeInUseError(describe_holder(self.home))

    def note(self, *, since: datetime, web_url: str = "") -> None:
        """Tells whoever finds the lock held who holds it."""
        if self._fd is not None:
            text = json.dumps({"pid": os.getpid(), "since": since.isoformat(timespec="seconds"), "web": web_url})
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text.encode(), 0)

    def release(self) -> None:
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None


def holder_pid(home: Home) -> int | None:
    """The process that supervises this home now."""
    if not home.lock_file.exists():
        return None
    fd = os.open(home.lock_file, os.O_RDWR)
    try:
        if _try_lock(fd, fcntl.LOCK_SH):
            return None
        return int(read_json(home.lock_file).get("pid", 0))
    finally:
        os.close(fd)


def describe_holder(home: Home) -> str:
    who = read_json(home.lock_file)
    pid, since, web = who.get("pid", "?"), who.get("since") or datetime.now(UTC).isoformat(), who.get("web")
    return (
        f"{home.root} is already in use by process {pid} since {since}{f', web at {web}' if web else ''}. "
        f"Mend: stop it (Ctrl-C there, or kill {pid}), or set VP_HOME to another folder."
    )


@contextmanager
def borrowing(home: Home) -> Iterator[None]:
    """Keeps the owner from stopping its servers; waits while it is stopping them."""
    with _borrowers(home) as fd:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield


@contextmanager
def closing(home: Home) -> Iterator[bool]:
    """Keeps new borrowers out; False when there are some already."""
    with _borrowers(home) as fd:
        yield _try_lock(fd, fcntl.LOCK_EX)


@contextmanager
def _borrowers(home: Home) -> Iterator[int]:
    fd = os.open(home.run / "borrowers", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def _try_lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
