"""Processes beside a test, which see its committed rows."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


class WaitingProcesses:
    """Modules that print "ready" and wait for a line on stdin; none outlives `close`."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._started: list[subprocess.Popen[str]] = []

    def start(self, module: str, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", module, *options]
        process = subprocess.Popen(command, cwd=PROJECT, env=self._env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._started.append(process)
        assert process.stdout is not None  # noqa: S101 - a pipe
        assert process.stdout.readline() == "ready\n"  # noqa: S101
        return process

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


def go(*processes: subprocess.Popen[str]) -> None:
    """Let them run, as close together as can be."""
    for process in processes:
        assert process.stdin is not None  # noqa: S101 - a pipe
        process.stdin.write("\n")
        process.stdin.flush()
