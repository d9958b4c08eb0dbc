"""Running the same statement in several processes at the same moment, each with connections of its own."""

import json
import subprocess
import sys
from typing import Any

# Forked before anything is connected, so that the platform is loaded once for all of them.
_PROGRAM = """
import json, multiprocessing, sys, django
django.setup()
from datetime import datetime, timedelta, UTC
from uuid import UUID
from calls import lifecycle, services
from calls.models import Call, WorkerHost
from calls.services import claiming, commands, finalizing, hosts, journal, local_queue, placing, sweeps
from agents.models import Agent
from tenants.scope import tenant_scope
from django.db import connection
assert connection.connection is None
processes, given = int(sys.argv[1]), json.loads(sys.argv[2])
forking = multiprocessing.get_context("fork")
at_once = forking.Barrier(processes)
def act(number):
{body}
def run(number):
    connection.ensure_connection()
    at_once.wait(60)
    return json.dumps(act(number), default=str)
with forking.Pool(processes) as pool:
    for told in pool.map(run, range(processes), chunksize=1):
        print("result " + told, flush=True)
"""


def race(
    env: dict[str, str], body: str, *, processes: int, settings: str = "voiceplatform.settings.worker", **given: Any
) -> list[Any]:
    """What each process returned. `body` is a function body; it sees `number` (from 0), `given` and the calls app."""
    program = _PROGRAM.format(body="\n".join(f"    {line}" for line in body.strip().splitlines()))
    env = env | {"DJANGO_SETTINGS_MODULE": settings, "LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-c", program, str(processes), json.dumps(given, default=str)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [line.removeprefix("result ") for line in done.stdout.splitlines() if line.startswith("result ")]
    assert len(told) == processes
    return [json.loads(line) for line in told]
