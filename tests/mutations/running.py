"""Applying a mutant to a copy of the project, and running the tests that should notice."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from tests.mutations.finding import PROJECT, Mutant

SURVIVED: Final = "SURVIVED"
BROKEN: Final = "BROKEN"
_LONGEST_S: Final = 900
_LEFT_OUT: Final = shutil.ignore_patterns(".git", ".venv*", ".vp*", "__pycache__", "static-collected", "*.pyc")
# Not test_schema.py: the document of the API changes with a decorator, whatever the API then does.
WALLS: Final = [f"tests/api/test_{name}.py" for name in ("access", "limits", "requests", "matrix", "walls")]
MATRIX: Final = "tests/api/test_matrix.py"
# These take a second to load and have no part in these tests.
_WITHOUT: Final = ("-p", "no:schemathesis", "-p", "no:hypothesispytest")


@dataclass(frozen=True, slots=True)
class Copy:
    """The project in a folder of its own, with a test database of its own."""

    root: Path
    env: dict[str, str]

    def outcome_of(self, mutant: Mutant) -> str:
        """The first test that fails with it, SURVIVED, or BROKEN when the code does not load."""
        path = self.root / mutant.path
        original = path.read_bytes()
        path.write_bytes(mutant.applied_to(original))
        try:
            likely = likely_tests(mutant)
            first = self.run(likely) if likely else SURVIVED
            return first if first != SURVIVED else self.run(tests_of(mutant))
        finally:
            path.write_bytes(original)

    def run(self, tests: Sequence[str], *, kept: bool = True) -> str:
        command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "--no-header", "--tb=no", "--reuse-db", *_WITHOUT]
        command += [*tests] if kept else ["--create-db", *tests]
        try:
            done = subprocess.run(
                command, cwd=self.root, env=self.env, capture_output=True, text=True, timeout=_LONGEST_S, check=False
            )
        except subprocess.TimeoutExpired:
            return "hangs"
        if done.returncode == 0:
            return SURVIVED
        failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", done.stdout, re.MULTILINE)
        return failed[1] if failed and "::" in failed[1] else f"{BROKEN} {(done.stdout + done.stderr)[-300:]}"


@contextmanager
def copied(number: int) -> Iterator[Copy]:
    with tempfile.TemporaryDirectory(prefix="vp-mutants-") as folder:
        root = Path(folder) / "project"
        shutil.copytree(PROJECT, root, ignore=_LEFT_OUT, symlinks=True)
        parts = urlsplit(os.environ["DATABASE_URL"])
        database = urlunsplit(parts._replace(path=f"{parts.path}_mutants_{number}"))
        # The settings must be those of the tests, whatever this process runs under.
        env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        yield Copy(root, env | {"DATABASE_URL": database, "PYTHONDONTWRITEBYTECODE": "1"})


def likely_tests(mutant: Mutant) -> list[str]:
    """The few that almost always notice; they spare the rest."""
    if mutant.kind.startswith("scope of"):
        return [MATRIX, "-k", "without_the_scope"]
    if mutant.kind.startswith("idempotent"):
        return [MATRIX, "-k", "sent_again"]
    return [MATRIX, "-k", "stranger"] if mutant.kind.startswith("tenant filter") else []


def tests_of(mutant: Mutant) -> list[str]:
    """All that should notice."""
    app, _, rest = mutant.path.partition("/")
    if rest.startswith("admin/"):
        return ["tests/admin"]
    near = [path for path in (PROJECT / app / "tests").glob("test_*.py") if rest == "selectors.py" or _is_near(path, mutant)]
    return [*sorted(str(path.relative_to(PROJECT)) for path in near), *WALLS]


def _is_near(path: Path, mutant: Mutant) -> bool:
    near = {Path(mutant.path).stem, "api"} | ({"scope", "queries", "writes"} if mutant.path.startswith("tenants/") else set())
    return any(path.stem.startswith(f"test_{name}") for name in near)
