import os
import stat
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from tests.embedded.conftest import SERVERS, alive, keep_row, kept_rows, supervise
from voiceplatform.embedded.home import read_json
from voiceplatform.embedded.leftovers import postgres_pids
from voiceplatform.embedded.postgres_files import ROOT_BASE
from voiceplatform.embedded.supervisor import Supervisor


def test_a_stop_leaves_nothing_running_and_loses_nothing(home: Path) -> None:
    with supervise(home) as first:
        first.start(SERVERS)
        keep_row(first.urls["postgres"], "before")
        redis.Redis.from_url(first.urls["valkey"]).set("key", "before")
        pids = [entry["pid"] for entry in read_json(first.home.state_file).values()]
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)
    with supervise(home) as second:
        second.start(SERVERS)
        assert kept_rows(second.urls["postgres"]) == ["before"]
        assert redis.Redis.from_url(second.urls["valkey"]).get("key") == b"before"
        assert second.exports == first.exports


def test_settings_of_the_servers(running: Supervisor) -> None:
    with psycopg.connect(running.urls["postgres"]) as db:
        assert db.execute("SHOW listen_addresses").fetchone() == ("",)
        assert db.execute("SELECT lower('ÅÉ'), 'é' < 'z'").fetchone() == ("åé", False)
    with redis.Redis.from_url(running.urls["valkey"]) as client:
        wanted = {"bind": "127.0.0.1", "appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_the_application_role_can_make_test_databases_with_vectors(running: Supervisor) -> None:
    with psycopg.connect(running.urls["postgres"], autocommit=True) as db:
        assert db.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
        db.execute("CREATE DATABASE test_voice")
    with psycopg.connect(running.urls["postgres"], dbname="test_voice") as db:
        db.execute("CREATE EXTENSION IF NOT EXISTS vector")
        assert db.execute("SELECT '[3,4]'::vector <-> '[0,0]'").fetchone() == (5.0,)


def test_passwords_are_on_no_command_line_and_in_no_log(home: Path) -> None:
    """Commands are caught as they start: a server may hide its arguments afterwards."""
    started: list[str] = []
    listening = [True]
    sys.addaudithook(lambda event, data: started.append(str(data[1])) if listening and event == "subprocess.Popen" else None)
    with supervise(home) as supervisor:
        supervisor.start(SERVERS)
    listening.clear()
    commands, logs = "".join(started), "".join(path.read_text() for path in supervisor.home.logs.iterdir())
    assert ["initdb" in commands, "valkey-server" in commands, "bin/postgres" in commands] == [True] * 3
    assert "ready to accept connections" in logs
    secrets = [value for name, value in vars(supervisor.home.secrets()).items() if name != "cluster"]
    assert [value for value in secrets if value in commands or value in logs] == []


def test_every_file_is_private(running: Supervisor) -> None:
    files = [path for path in running.home.root.rglob("*") if not path.is_socket()]
    assert [path for path in files if path.lstat().st_mode & 0o077] == []
    assert stat.S_IMODE(running.home.env_file.stat().st_mode) == 0o600


def test_wrong_passwords_are_refused(running: Supervisor) -> None:
    secrets = running.home.secrets()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(running.urls["postgres"].replace(secrets.database_password, "guess"))
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(running.urls["valkey"].replace(secrets.valkey_password, "guess")).ping()


def test_postgres_never_runs_as_root(running: Supervisor) -> None:
    base = ROOT_BASE / running.home.digest if os.geteuid() == 0 else running.home.root / "postgres"
    pids = postgres_pids(title=f"vp_{running.home.digest}", data=base / "data")
    owners = {Path(f"/proc/{pid}").stat().st_uid for pid in pids}
    assert len(pids) > 3
    assert owners == {(base / "data").stat().st_uid}
    assert 0 not in owners
