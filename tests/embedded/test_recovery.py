"""What is left after something was killed."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from tests.embedded.conftest import SERVERS, alive, dev_started, forget, keep_row, kept_rows, supervise, until
from voiceplatform.embedded.home import Home, read_json


@pytest.fixture(scope="module")
def worn() -> Iterator[Path]:
    """One home for every test that kills PostgreSQL: each has to leave it fit for the next."""
    path = Path(tempfile.mkdtemp(prefix="vp-"))
    yield path
    forget(path)


def test_killed_supervisor_takes_its_servers_along_and_the_next_start_has_the_data(worn: Path) -> None:
    killed = dev_started(worn, "--only", ",".join(SERVERS))
    urls = Home(worn).read_env()
    pids = [entry["pid"] for entry in read_json(Home(worn).state_file).values()]
    keep_row(urls["DATABASE_URL"], "1 killed supervisor")
    redis.Redis.from_url(urls["REDIS_URL"]).rpush("queue", "task")
    killed.kill()
    killed.wait()
    with supervise(worn) as supervisor:
        supervisor.start(SERVERS)
        assert kept_rows(supervisor.urls["postgres"]) == ["1 killed supervisor"]
        assert redis.Redis.from_url(supervisor.urls["valkey"]).lrange("queue", 0, -1) == [b"task"]
        assert not any(alive(pid) for pid in pids)


def test_everything_killed_at_once_and_the_pid_file_names_a_stranger(worn: Path) -> None:
    killed = dev_started(worn, "--only", "postgres")
    url = Home(worn).read_env()["DATABASE_URL"]
    keep_row(url, "2 all killed")
    server = read_json(Home(worn).state_file)["postgres"]["pid"]
    data = Path(os.readlink(f"/proc/{server}/cwd"))
    for pid in (killed.pid, server):
        os.kill(pid, signal.SIGKILL)
    killed.wait()
    mark = data / "postmaster.pid"
    mark.write_text(mark.read_text().replace(str(server), str(os.getpid()), 1))
    with supervise(worn) as supervisor:
        supervisor.start(["postgres"])
        assert "2 all killed" in kept_rows(url)


def test_a_crashed_server_is_started_again_with_its_data(worn: Path) -> None:
    with supervise(worn) as supervisor:
        supervisor.start(["postgres"])
        keep_row(url := supervisor.urls["postgres"], "3 crash")
        session = psycopg.connect(url)  # a session that is open makes the old server's memory linger
        first = read_json(supervisor.home.state_file)["postgres"]["pid"]
        os.kill(first, signal.SIGKILL)
        until(lambda: supervisor.running() == [])
        until(lambda: supervisor.running() == ["postgres"])
        assert "3 crash" in kept_rows(url)
        assert read_json(supervisor.home.state_file)["postgres"]["pid"] != first
        session.close()


def test_a_server_without_its_supervisor_is_ended_before_another_starts(home: Path) -> None:
    """A supervisor's death normally ends it; here the signal was lost."""
    with supervise(home):
        pass
    stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    born = int(Path(f"/proc/{stray.pid}/stat").read_text().rpartition(")")[2].split()[19])
    Home(home).state_file.write_text(f'{{"stray": {{"pid": {stray.pid}, "born": {born}, "stop": 15, "ready": true}}}}')
    try:
        with supervise(home):
            assert stray.wait(timeout=1) == -signal.SIGTERM
    finally:
        stray.kill()


def test_a_number_that_now_names_another_process_is_left_alone(home: Path) -> None:
    with supervise(home):
        pass
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Home(home).state_file.write_text(f'{{"valkey": {{"pid": {stranger.pid}, "born": 1, "stop": 15, "ready": true}}}}')
    try:
        with supervise(home):
            assert stranger.poll() is None
    finally:
        stranger.kill()
