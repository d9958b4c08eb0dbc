"""What the demo prints, and how it runs management commands."""

import subprocess
import sys
import time
from types import TracebackType
from typing import Self

from voiceplatform.embedded.environment import PROJECT
from voiceplatform.embedded.errors import EmbeddedError


def heading(text: str) -> None:
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


class Step:
    """Prints a line with the time its block took."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> Self:
        self.began = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            sys.stderr.write(f"  {self.name:<10} ready in {time.monotonic() - self.began:.1f} s\n")


def manage(arguments: list[str], env: dict[str, str]) -> str:
    """Output of a management command. Raises EmbeddedError with its last lines when it fails."""
    command = [sys.executable, str(PROJECT / "manage.py"), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join(f"    {line}" for line in (done.stdout + done.stderr).splitlines()[-8:])
        raise EmbeddedError(f"manage.py {arguments[0]} failed:\n{tail}")
    return done.stdout.strip().splitlines()[-1]
