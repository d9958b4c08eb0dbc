"""The walls of the house: sizes, layers and what a process may load."""

import ast
import json
import os
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[1]
INTERFACES = {"admin", "api", "tasks"}
APPS = ["voiceplatform", "tenants", "agents", "calls", "campaigns", "knowledge", "integrations", "analytics", "voice_worker"]


def sources() -> list[Path]:
    return [p for app in APPS for p in (PROJECT / app).rglob("*.py") if "migrations" not in p.parts]


def test_files_have_at_most_400_lines() -> None:
    assert [str(p) for p in sources() if len(p.read_text().splitlines()) > 400] == []


def test_functions_have_at_most_40_lines() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 40
    ]
    assert long == []


def test_every_child_of_the_composition_package_is_in_the_layer_contract() -> None:
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {name.strip() for layer in contracts[0]["layers"] for name in layer.replace(":", "|").split("|")}
    children = {
        f"voiceplatform.{p.stem}"
        for p in (PROJECT / "voiceplatform").iterdir()
        if (p.suffix == ".py" or (p / "__init__.py").exists()) and p.stem not in ("__init__", "tests")
    }
    assert children - layers == set()


@pytest.mark.parametrize(
    ("settings", "load", "absent"),
    [
        (
            "web",
            "import voiceplatform.urls, voiceplatform.celery as c; c.app.loader.import_default_modules()",
            ["livekit.agents", "piper"],
        ),
        (
            "worker",
            "import voice_worker.forkserver",
            ["campaigns", "analytics", "rest_framework", "unfold", "django.contrib.admin", "celery.app.task", "piper"],
        ),
    ],
)
def test_a_process_loads_only_what_it_needs(settings: str, load: str, absent: list[str]) -> None:
    loaded = printed_by(
        f"import django; django.setup(); {load}; import sys, json; print(json.dumps(list(sys.modules)))", settings
    )
    assert [name for name in absent if name in loaded] == []
    if settings == "worker":
        kinds = {name for name in loaded if name.partition(".")[0] in APPS and name.split(".")[-1] in INTERFACES}
        assert kinds == set()


PRELOADS = """
import gc, json, os, sys, threading
seen = []
def note(event, data):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"):
        seen.append([event, str(data[-1] if event != "socket.getaddrinfo" else data[0])])
sys.addaudithook(note)
import voice_worker.forkserver
files = [os.readlink(link) for link in map("/proc/self/fd/{}".format, os.listdir("/proc/self/fd")) if os.path.lexists(link)]
print(json.dumps({
    "network": seen,
    "sockets": [name for name in files if name.startswith("socket:")],
    "threads": [thread.name for thread in threading.enumerate()],
    "tasks": len(os.listdir("/proc/self/task")),
    "frozen": gc.get_freeze_count(),
}))
"""


def test_what_the_forkserver_preloads_leaves_nothing_for_jobs_to_inherit() -> None:
    """No connection, no open socket, no thread, not even one of C code."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        env = {"DATABASE_URL": f"postgres://a:b@127.0.0.1:{port}/c?connect_timeout=2", "REDIS_URL": f"redis://127.0.0.1:{port}/0"}
        found = printed_by(PRELOADS, "worker", OPENBLAS_NUM_THREADS="1", **env)
        server.setblocking(False)
        # No hook sees what the database's C library connects to.
        with pytest.raises(BlockingIOError):
            server.accept()
    # urllib3 tries once whether there is IPv6, on a socket that it closes.
    assert [event for event in found["network"] if event != ["socket.bind", "('::1', 0)"]] == []
    assert (found["sockets"], found["threads"], found["tasks"]) == ([], ["MainThread"], 1)
    assert found["frozen"] > 100_000, "collections in a call would walk everything that was imported"


def printed_by(program: str, settings: str, **env: str) -> Any:
    """The JSON in the last line that a fresh process prints."""
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": f"voiceplatform.settings.{settings}", **env}
    result = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout.splitlines()[-1])
