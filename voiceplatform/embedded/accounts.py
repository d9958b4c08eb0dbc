"""Which system account PostgreSQL runs under: it refuses to run as root."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass

OWN_NAME = "voiceplatform"


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """None for an ordinary user, who runs the servers himself.

    A system account of our own comes first: `nobody` is shared with other daemons, which could then read the
    data and signal the server, so it is used only where no account can be made.
    """
    if os.geteuid() != 0:
        return None
    return _find(OWN_NAME) or _create() or _find("nobody")


def _find(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid) if entry.pw_uid else None


def _create() -> Account | None:
    if not (program := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")):
        return None
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    subprocess.run([program, *options, OWN_NAME], check=False, capture_output=True, timeout=30)
    return _find(OWN_NAME)
