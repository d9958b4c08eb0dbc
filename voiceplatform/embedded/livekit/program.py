"""Where the server's program is, and how it comes there."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from voiceplatform.embedded.environment import PROJECT
from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.process import kill_group, log_tail, spawn

VERSION = "1.13.5"
SOURCE = f"github.com/livekit/livekit-server/cmd/server@v{VERSION}"
HOW_TO_GET_IT = (
    "There is no livekit-server on this machine. Mend: make livekit-server (builds it where Go 1.26 or newer is installed), "
    "or install it (https://docs.livekit.io/home/self-hosting/local/), or set LIVEKIT_SERVER_BIN to its program."
)

_FOLDER = PROJECT / ".vp" / "bin"
_UNFINISHED = ".livekit-build-"


def find(values: Mapping[str, str], *, folder: Path = _FOLDER) -> Path | None:
    """LIVEKIT_SERVER_BIN, else livekit-server on PATH, else the one built earlier, which every home of a checkout shares.

    Raises EmbeddedError when LIVEKIT_SERVER_BIN names no program.
    """
    if given := values.get("LIVEKIT_SERVER_BIN", "").strip():
        path = Path(given).expanduser().resolve()
        if not os.access(path, os.X_OK) or path.is_dir():
            raise EmbeddedError(
                f"LIVEKIT_SERVER_BIN={given} is not a program. Example: LIVEKIT_SERVER_BIN=/usr/bin/livekit-server"
            )
        return path
    if found := shutil.which("livekit-server", path=values.get("PATH")):
        return Path(found)
    built = _built(folder)
    return built if os.access(built, os.X_OK) else None


def ensure(values: Mapping[str, str], *, folder: Path = _FOLDER) -> Path:
    """The program, built with Go when there is none yet. Raises EmbeddedError, whose text says how else to get it."""
    if path := find(values, folder=folder):
        return path
    go = shutil.which("go", path=values.get("PATH"))
    if go is None:
        raise EmbeddedError(HOW_TO_GET_IT)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        if path := find(values, folder=folder):  # somebody else has built it meanwhile
            return path
        for left in folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        return _build(go, values, folder=folder)


def _build(go: str, values: Mapping[str, str], *, folder: Path) -> Path:
    work = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder))
    env = {
        name: value
        for name, value in values.items()
        if not name.startswith("GO") or name in {"GOPROXY", "GOSUMDB", "GOTOOLCHAIN"}
    }
    env |= {"GOBIN": str(work / "bin"), "GOPATH": str(work / "path"), "GOCACHE": str(work / "cache"), "GOTMPDIR": str(work)}
    env |= {"GOFLAGS": "-modcacherw -buildvcs=false", "GOENV": "off", "HOME": str(work), "CGO_ENABLED": "0"}
    try:
        _run([go, "install", SOURCE], env=env, cwd=work)
        fresh = work / "bin" / "server"
        told = subprocess.run([fresh, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout
        if VERSION not in told:
            raise EmbeddedError(f"The livekit-server that was built does not run or is another version: {told.strip()[-200:]!r}")
        fresh.replace(_built(folder))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return _built(folder)


def _run(command: list[str], *, env: Mapping[str, str], cwd: Path) -> None:
    process = spawn(command, env=env, cwd=cwd, log=cwd / "log", death_signal=signal.SIGKILL)
    try:
        process.wait()
    finally:
        kill_group(process.pid)  # compilers go on for a while when this process is interrupted
    if process.returncode:
        raise EmbeddedError(f"{' '.join(command)} failed:\n{log_tail(cwd / 'log')}\n{HOW_TO_GET_IT}")


def _built(folder: Path) -> Path:
    return folder / f"livekit-server-{VERSION}"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
