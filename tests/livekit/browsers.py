"""A browser in a process of its own, which can be killed."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

from tests.livekit.rig import until
from voiceplatform.embedded.environment import PROJECT


class Browser:
    """A supervisor's or a caller's, until it is closed or killed. It tells what `supervisor_browser` tells."""

    def __init__(self, url: str, token: str, *, says: int = -1, murmurs: str = "") -> None:
        command = [sys.executable, "-m", "tests.livekit.supervisor_browser", url, token, str(says), murmurs]
        self._process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout
        os.set_blocking(self._process.stdout.fileno(), False)
        self._said = b""

    def told(self, name: str) -> list[Any]:
        assert self._process.stdout
        self._said += self._process.stdout.read() or b""
        whole = self._said.splitlines()[: self._said.count(b"\n")]
        return [line[name] for line in map(json.loads, whole) if name in line]

    async def tells(self, name: str, *, seconds: float = 20) -> Any:
        return (await until(lambda: self.told(name), seconds=seconds))[0]

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()
