"""Piper as a program of its own, spoken to through its command line, standard input and files.

One line in is one WAV file out, announced on its standard error: that gives exact bounds for each piece of text
while the voice stays loaded. Nothing of Piper is ever imported here.
"""

import asyncio
import contextlib
import importlib.util
import sys
import tempfile
import wave
from collections import deque
from pathlib import Path

from voiceplatform.embedded.speech.errors import BrokenEngineError

_WROTE = "Wrote "
_SLOWEST_S = 60.0
_LINES_KEPT = 20


def piper_installed() -> bool:
    return importlib.util.find_spec("piper") is not None


class PiperProgram:
    """One running Piper: a voice file at a pace."""

    def __init__(self, *, weights: Path, pace: float) -> None:
        self._weights, self._pace = weights, pace
        # Memory rather than disk where the system has it: the files live for milliseconds.
        shared = Path("/dev/shm")  # noqa: S108 only as the parent of a private folder
        self._folder = tempfile.TemporaryDirectory(prefix="piper-", dir=shared if shared.is_dir() else None)
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._said: deque[str] = deque(maxlen=_LINES_KEPT)

    @property
    def idle(self) -> bool:
        return not self._turn.locked()

    async def speak(self, line: str) -> tuple[bytes, int]:
        """PCM and sample rate of one line of text."""
        async with self._turn:
            feed, log = await self._running()
            try:
                feed.write(" ".join(line.split()).encode() + b"\n")
                await feed.drain()
                path = await asyncio.wait_for(self._written(log), _SLOWEST_S)
            except (TimeoutError, ConnectionError, BrokenEngineError, asyncio.CancelledError) as error:
                # Its answer to this line must never be taken for the answer to the next.
                await self._stop()
                if isinstance(error, TimeoutError | ConnectionError):
                    raise BrokenEngineError(f"Piper did not speak: {type(error).__name__}") from error
                raise
            return _read(path)

    async def close(self) -> None:
        await self._stop()
        self._folder.cleanup()

    async def _running(self) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "piper",
                "--model", str(self._weights),
                "--output-dir", self._folder.name,
                "--length-scale", f"{self._pace:.2f}",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        feed, log = self._process.stdin, self._process.stderr
        if feed is None or log is None:
            raise BrokenEngineError("Piper was started without pipes")
        return feed, log

    async def _written(self, log: asyncio.StreamReader) -> Path:
        while raw := await log.readline():
            line = raw.decode(errors="replace").rstrip()
            self._said.append(line)
            if _WROTE in line:
                return Path(line.partition(_WROTE)[2])
        raise BrokenEngineError(f"Piper ended: {self._said[-1] if self._said else 'it said nothing'}")

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _read(path: Path) -> tuple[bytes, int]:
    with wave.open(str(path), "rb") as sound:
        pcm, rate = sound.readframes(sound.getnframes()), sound.getframerate()
    path.unlink()
    return pcm, rate
