"""The walls of the house: sizes, layers and what a process may load."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
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
            "import voice_worker.entrypoint",
            ["campaigns", "analytics", "rest_framework", "unfold", "celery.app.task", "calls.tasks", "calls.admin", "piper"],
        ),
    ],
)
def test_a_process_loads_only_what_it_needs(settings: str, load: str, absent: list[str]) -> None:
    program = f"import django; django.setup(); {load}; import sys; print([m for m in {absent!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env={**__import__("os").environ, "DJANGO_SETTINGS_MODULE": f"voiceplatform.settings.{settings}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip().splitlines()[-1:] == ["[]"], result.stdout + result.stderr
