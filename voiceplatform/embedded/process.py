"""Child processes that do not outlive the supervisor, and their logs."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from voiceplatform.embedded.accounts import Account
from voiceplatform.embedded.errors import EmbeddedError

LOG_LIMIT = 5 * 1024 * 1024
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent(death_signal: int, parent: int) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # the parent died before the line above
        os._exit(1)


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    account: Account | None = None,
    death_signal: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Starts a service in a session of its own, so that Ctrl-C reaches the supervisor alone.

    When the supervisor dies, even by SIGKILL, the kernel sends `death_signal`. That holds for the thread that calls
    this function: it has to live as long as the service.
    """
    log_file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            # prctl must run after the change of user, which clears the setting.
            preexec_fn=partial(_die_with_parent, death_signal, os.getpid()),  # noqa: PLW1509
        )
    finally:
        os.close(log_file)


def kill_group(pid: int) -> None:
    """Ends whatever a service that has just ended left behind in its own process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def cap_log(path: Path, *, limit: int = LOG_LIMIT) -> None:
    """Moves a log that has grown too large to `<name>.1`; writers append, so truncating under them is safe."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > limit:
            shutil.copyfile(path, old := path.with_name(path.name + ".1"))
            old.chmod(0o600)
            os.truncate(path, 0)


def log_tail(path: Path, *, lines: int = 12) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def start_time(pid: int) -> int | None:
    """Clock ticks since boot at which the process began; with the pid it names one process for good."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def interrupt_when_told_to_stop() -> None:
    """SIGTERM and SIGHUP stop this process as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def run_attached(command: Sequence[str], *, env: Mapping[str, str]) -> int:
    """Runs a command in the foreground and returns its exit code.

    Ctrl-C reaches it by the terminal, so it is left to the command; SIGTERM is passed on.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(list(command), env=dict(env), preexec_fn=partial(_foreground, os.getpid()))  # noqa: PLW1509
    except OSError as error:
        signal.signal(signal.SIGINT, before)
        raise EmbeddedError(f"{command[0]} cannot be run: {error.strerror}") from error
    earlier = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, earlier)
    return 128 - code if code < 0 else code


def _foreground(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _die_with_parent(signal.SIGTERM, parent)
