"""VP_HOME: the one folder that holds the state of the embedded profile.

run/     lock, env (for other processes), state.json (what runs), ports.json
logs/    <service>.log
secrets.json, postgres/ (as an ordinary user), valkey/, spool/, files/
bin/, models/ in the checkout's own home: what every home shares
"""

import hashlib
import json
import os
import pwd
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceplatform.embedded.errors import EmbeddedError

MARKER = ".voiceplatform"
KNOWN = {MARKER, "bin", "run", "logs", "models", "postgres", "valkey", "spool", "files", "secrets.json"}

STAFF_LOGIN = "staff-password"
"""The file with the password of the demo's staff login."""


@dataclass(frozen=True)
class Secrets:
    """Generated once per VP_HOME. `cluster` ties a PostgreSQL data folder to these passwords."""

    secret_key: str
    field_encryption_key: str
    postgres_password: str
    database_password: str
    valkey_password: str
    livekit_api_key: str
    livekit_api_secret: str
    cluster: str


class Home:
    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.run, self.logs = self.root / "run", self.root / "logs"
        self.env_file, self.lock_file, self.state_file = self.run / "env", self.run / "lock", self.run / "state.json"
        self.digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]

    def create(self) -> None:
        if unusable := set('"\\\n') & set(str(self.root)):
            raise EmbeddedError(f"VP_HOME {str(self.root)!r} contains {min(unusable)!r}. Set VP_HOME to a plainer path.")
        self._refuse_foreign()
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.root, self.run, self.logs, self.root / "valkey", self.root / "spool", self.root / "files"):
                private_folder(folder)
            (self.root / MARKER).touch(mode=0o600)
        except OSError as error:
            problem = error.strerror or str(error)
            raise EmbeddedError(f"VP_HOME {self.root} cannot be written: {problem}. Set VP_HOME to a folder of yours.") from error

    def _refuse_foreign(self) -> None:
        """Keeps a VP_HOME that was set by mistake, say to /tmp, from being filled and closed to others."""
        if not self.root.exists():
            return
        if not self.root.is_dir():
            raise EmbeddedError(f"VP_HOME {self.root} is a file. Set VP_HOME to a folder.")
        status = self.root.stat()
        if status.st_uid != os.geteuid():
            owner = _user_name(status.st_uid)
            raise EmbeddedError(f"VP_HOME {self.root} belongs to {owner}. Run as {owner}, or set VP_HOME to another folder.")
        names = {child.name for child in self.root.iterdir()}
        if MARKER in names:
            return
        if strangers := sorted(names - KNOWN):
            some = ", ".join(strangers[:3])
            raise EmbeddedError(f"VP_HOME {self.root} holds other things ({some}). Set VP_HOME to a new or empty folder.")
        if not names and status.st_mode & 0o022:
            raise EmbeddedError(f"VP_HOME {self.root} can be written by others. Mend: chmod go-w {self.root}, or set VP_HOME.")

    def secrets(self) -> Secrets:
        path = self.root / "secrets.json"
        fields = Secrets.__dataclass_fields__
        known: dict[str, str] = read_json(path)
        if set(known) != set(fields):
            known = {name: known.get(name) or secrets.token_urlsafe(32) for name in fields}
            write_private(path, json.dumps(known, indent=1))
        return Secrets(**known)

    def port(self, name: str) -> int:
        """A free loopback port, the same as last time when it is still free."""
        path = self.run / "ports.json"
        ports: dict[str, int] = read_json(path)
        wanted = ports.get(name, 0)
        port = wanted if wanted and is_free(wanted) else _free_port()
        if port != wanted:
            write_private(path, json.dumps({**ports, name: port}))
        return port

    def write_env(self, values: Mapping[str, str]) -> None:
        write_private(self.env_file, "".join(f"{name}={value}\n" for name, value in sorted(values.items())))

    def read_env(self) -> dict[str, str]:
        lines = self.env_file.read_text().splitlines() if self.env_file.exists() else []
        return dict(line.split("=", 1) for line in lines if "=" in line)


def private_folder(path: Path) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
        if path.stat().st_mode & 0o077:
            raise EmbeddedError(
                f"{path} stays open to other users: its disk keeps no permissions. Mend: set VP_HOME to a folder on a Linux disk."
            )
    return path


def write_private(path: Path, text: str) -> None:
    """Replaces `path` in one step by a file only its owner can read."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`; empty when there is none or it was cut short by a crash."""
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    # The system gives higher ones to outgoing connections, which might have this one before its service does.
    while not is_free(port := 20_000 + secrets.randbelow(12_000)):
        pass
    return port


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
