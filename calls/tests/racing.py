"""Running the same statement in several processes at the same moment, each with connections of its own."""

import json
import subprocess
import sys
from typing import Any

_PROGRAM = """
import json, sys, django
django.setup()
from datetime import datetime, timedelta, UTC
from uuid import UUID
from calls import lifecycle, services
from calls.models import Call, WorkerHost
from calls.services import claiming, commands, finalizing, hosts, journal, local_queue, placing, sweeps
from agents.models import Agent
from tenants.scope import tenant_scope
from django.db import connection
connection.ensure_connection()
number, given = int(sys.argv[1]), json.loads(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
def act():
{body}
print("result " + json.dumps(act(), default=str), flush=True)
"""


def race(
    env: dict[str, str], body: str, *, processes: int, settings: str = "voiceplatform.settings.worker", **given: Any
) -> list[Any]:
    """What each process returned. `body` is a function body; it sees `number` (from 0), `given` and the calls app."""
    program = _PROGRAM.format(body="\n".join(f"    {line}" for line in body.strip().splitlines()))
    env = env | {"DJANGO_SETTINGS_MODULE": settings, "LOG_LEVEL": "ERROR"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(number), json.dumps(given, default=str)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return [_result(process) for process in started]


def _result(process: subprocess.Popen[str]) -> Any:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    (line,) = (line for line in out.splitlines() if line.startswith("result "))
    return json.loads(line.removeprefix("result "))
