"""What somebody sees who starts a command in the wrong surroundings: a line that says what to mend."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
NOBODY = "postgres://voice:secret@127.0.0.1:9/voice"


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, str(PROJECT / "manage.py"), *arguments]
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("DATABASE_URL", "mysql://root@127.0.0.1/voice", "DATABASE_URL=postgres://"),
        ("VP_LOCAL_CALLS", "many", "VP_LOCAL_CALLS=1"),
        ("VP_BRAIN", "huge", "VP_BRAIN=default"),
        ("TOOLS_DECIDED_BY_BACKEND", "perhaps", "TOOLS_DECIDED_BY_BACKEND=true"),
    ],
)
def test_a_wrong_variable_is_told_in_one_line_with_an_example(name: str, value: str, example: str) -> None:
    done = manage("check", **{name: value})
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert name in line
    assert example in line


@pytest.mark.parametrize("command", [("migrate", "--check"), ("simulate_call", "--agent", "Ava")])
def test_a_database_that_does_not_answer_is_told_with_the_way_out(command: tuple[str, ...]) -> None:
    done = manage(*command, DATABASE_URL=NOBODY)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "The database does not answer: " in done.stderr
    assert "make run" in done.stderr


def test_the_doctor_examines_the_rest_without_a_database() -> None:
    nowhere = {"REDIS_URL": "redis://127.0.0.1:9/0", "VP_SPEECH_URL": "http://127.0.0.1:9", "LIVEKIT_URL": "ws://127.0.0.1:9"}
    done = manage("doctor", DATABASE_URL=NOBODY, **nowhere)
    assert done.returncode == 1
    found = dict(line.split()[1::-1] for line in done.stdout.splitlines() if not line.startswith(" ") and len(line.split()) > 1)
    expected = {"database": "FAIL", "broker": "FAIL", "spool": "ok", "recordings": "ok", "speech": "FAIL", "livekit": "FAIL"}
    assert {name: found.get(name) for name in expected} == expected
