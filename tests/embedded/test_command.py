"""`python -m voiceplatform.embedded`, which is what `manage.py dev` runs."""

import sys
from pathlib import Path

import pytest

from tests.embedded.conftest import alive, dev, dev_process, dev_started, until
from voiceplatform.embedded import environment
from voiceplatform.embedded.home import Home, read_json


def test_a_command_gets_the_addresses_and_gives_the_exit_code(home: Path) -> None:
    done = dev(home, "--only", "valkey", "--", "sh", "-c", 'echo "$REDIS_URL $VP_SUPERVISED"; exit 7')
    assert done.returncode == 7
    assert done.stdout.startswith(f"redis://:{Home(home).secrets().valkey_password}@127.0.0.1:")
    assert "REDIS_URL" in done.stdout.split()


def test_a_server_of_the_users_own_replaces_ours(home: Path) -> None:
    mine = "redis://10.0.0.9:6379/0"
    done = dev(home, "--only", "valkey", "--", "sh", "-c", 'echo "$REDIS_URL"; cat "$VP_HOME/run/env"', REDIS_URL=mine)
    first, *env_file = done.stdout.splitlines()
    assert first == mine
    names = ["FIELD_ENCRYPTION_KEYS", "SECRET_KEY", "VP_FILES", "VP_SPOOL", "VP_SUPERVISOR_PID"]
    assert [line.split("=")[0] for line in env_file] == names
    assert "not started: REDIS_URL is set" in done.stderr


def test_a_second_start_says_who_runs(home: Path) -> None:
    first = dev_started(home, "--only", "valkey")
    try:
        second = dev(home, "--only", "valkey")
    finally:
        first.terminate()
        first.wait()
    assert second.returncode == 3
    assert f"already in use by process {first.pid} since 20" in second.stderr
    assert f"kill {first.pid}" in second.stderr


def test_a_command_borrows_running_servers_and_keeps_them_until_it_ends(home: Path) -> None:
    script = "touch $VP_HOME/owned; until test -e $VP_HOME/borrowed; do sleep 0.05; done"
    owner = dev_process(home, "--only", "valkey", "--", "sh", "-c", script)
    until((home / "owned").exists)
    check = "import os, redis; print(redis.Redis.from_url(os.environ['REDIS_URL']).ping())"
    lines = f'touch $VP_HOME/borrowed; sleep 1; exec {sys.executable} -c "{check}"'
    borrower = dev(home, "--only", "valkey", "--", "sh", "-c", lines)
    assert borrower.stdout == "True\n"
    assert f"using valkey of process {owner.pid}" in borrower.stderr
    assert owner.wait(timeout=20) == 0


def test_background_start_and_stop(home: Path) -> None:
    assert dev(home, "--only", "valkey", "--no-wait").returncode == 0
    pid = read_json(Home(home).state_file)["valkey"]["pid"]
    assert alive(pid)
    assert dev(home, "--stop").returncode == 0
    assert not alive(pid)


def test_unknown_service_and_unknown_command(home: Path) -> None:
    service = dev(home, "--only", "valky")
    assert (service.returncode, service.stderr.splitlines()[0][:32]) == (1, "There is no service 'valky'. Exa")
    command = dev(home, "--only", "valkey", "--", "no-such-program")
    assert command.returncode == 1
    assert "no-such-program cannot be run: " in command.stderr


def test_a_surrounding_supervisors_addresses_are_not_taken_for_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VP_SUPERVISED", "DATABASE_URL VP_SPOOL")
    monkeypatch.setenv("DATABASE_URL", "postgres://theirs")
    monkeypatch.setenv("REDIS_URL", "redis://mine")
    values = environment.given()
    assert ("DATABASE_URL" in values, values["REDIS_URL"]) == (False, "redis://mine")
