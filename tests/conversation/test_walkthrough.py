"""The README's walk through the API, as written, on a platform of its own."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PROJECT = Path(__file__).resolve().parents[2]
# The outer servers' own, but for the speech process and the language model, which serve both.
OTHERS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE", "FIELD_ENCRYPTION_KEYS")
# A machine may take longer than the request waits.
AFTERWARDS = """
CHAT=$(ask "$API/calls?kind=chat" | .venv/bin/python -c 'import json, sys; print(json.load(sys.stdin)["data"][0]["id"])')
ask $API/calls/$CHAT/transcript
"""


def walk() -> str:
    (script,) = [
        block for block in re.findall(r"```bash\n(.*?)```", (PROJECT / "README.md").read_text(), re.S) if "/api/v1" in block
    ]
    return f"{sys.executable} manage.py seed_demo > /dev/null\n{script}{AFTERWARDS}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_the_walk_through_the_api_works_as_written(tmp_path: Path) -> None:
    assert os.environ.get("VP_BRAIN_URL"), "run through `make test-slow`"
    kept = {name: value for name, value in os.environ.items() if name not in OTHERS}
    env = {**kept, "VP_HOME": str(tmp_path / "home"), "VP_WEB_PORT": str(free_port())}
    command = [sys.executable, "manage.py", "dev", "--", "bash", "-euo", "pipefail", "-c", walk()]
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    _, _, chat, call, transcript, written = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert chat["message"]["state"] in ("answered", "waiting"), json.dumps(chat)
    assert "20" in written["data"][-1]["text"], json.dumps(written)
    assert (call["status"], call["livemode"], call["persona"]) == ("ended", False, "says_little")
    assert call["disposition"] == "completed", json.dumps(call)
    assert {turn["speaker"] for turn in transcript["data"]} == {"caller", "agent"}
    assert transcript["data"][0]["text"] == "Oak Street, this is Nora. How can I help you?"
    assert re.search(r"call\.ended evt_\w+ sequence \d+ verified", done.stdout), done.stdout[-1000:]
