"""LiveKit's program for browsers: fetched by npm from the registry it is set up with, checked, put with the static files.

Nothing of the package is installed or run here; one file is taken out of it, as data.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from voiceplatform.embedded.environment import PROJECT
from voiceplatform.embedded.errors import EmbeddedError

FILE: Final = "livekit-client.umd.js"
LOCK: Final = Path(__file__).with_name("livekit-client.json")
FOLDER: Final = PROJECT / "voiceplatform" / "static" / "vendor"
WITHOUT_NPM: Final = (
    "There is no npm on this machine. Mend: install Node.js, which brings it, or put {file} of the npm package {name} {version} "
    "into {folder}."
)
_MAP: Final = b"//# sourceMappingURL="
_LARGEST: Final = 8 * 1024 * 1024
_TIMEOUT_S: Final = 300


@dataclass(frozen=True, slots=True)
class Lock:
    """Which package, and what it has to be. `member` is the file that is wanted of it."""

    name: str
    version: str
    integrity: str
    member: str

    @classmethod
    def read(cls, path: Path = LOCK) -> "Lock":
        return cls(**json.loads(path.read_text()))


def is_here(lock: Lock, *, folder: Path = FOLDER) -> bool:
    """Whether the file of that very package is in its place."""
    mark = folder / f"{FILE}.integrity"
    return (folder / FILE).is_file() and mark.is_file() and mark.read_text() == lock.integrity


def ensure(values: Mapping[str, str], *, lock: Lock, folder: Path = FOLDER) -> Path:
    """The file, fetched unless it is there. Raises EmbeddedError, whose text says what to do."""
    if is_here(lock, folder=folder):
        return folder / FILE
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as work:
        package = _pack(values, lock=lock, work=Path(work), folder=folder)
        _check(package, lock)
        fresh = Path(work) / FILE
        fresh.write_bytes(_member(package, lock))
        fresh.chmod(0o644)
        fresh.replace(folder / FILE)
    (folder / f"{FILE}.integrity").write_text(lock.integrity)
    return folder / FILE


def _pack(values: Mapping[str, str], *, lock: Lock, work: Path, folder: Path) -> Path:
    """The package as npm's registry has it."""
    npm = shutil.which("npm", path=values.get("PATH"))
    if npm is None:
        raise EmbeddedError(WITHOUT_NPM.format(file=FILE, name=lock.name, version=lock.version, folder=folder))
    command = [npm, "pack", f"{lock.name}@{lock.version}", "--pack-destination", str(work), "--ignore-scripts", "--silent"]
    try:
        done = subprocess.run(
            command, env=dict(values), cwd=work, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise EmbeddedError(f"npm did not deliver {lock.name} {lock.version} within {_TIMEOUT_S} s. Try again.") from error
    packages = list(work.glob("*.tgz"))
    if done.returncode or len(packages) != 1:
        said = " ".join((done.stderr or done.stdout).split())[-500:]
        raise EmbeddedError(f"npm delivered no {lock.name} {lock.version}: {said or 'it did not say why'}")
    return packages[0]


def _check(package: Path, lock: Lock) -> None:
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != lock.integrity:
        raise EmbeddedError(
            f"What npm delivered as {lock.name} {lock.version} is something else: sha512-{digest}, and {lock.integrity} is "
            "expected. Check the registry that npm is set up with; nothing was kept."
        )


def _member(package: Path, lock: Lock) -> bytes:
    with tarfile.open(package, "r:gz") as archive:
        found: Any = next((item for item in archive if item.name == lock.member and item.isfile()), None)
        if found is None or found.size > _LARGEST:
            raise EmbeddedError(f"{lock.name} {lock.version} has no {lock.member}.")
        source = archive.extractfile(found)
        return _without_map(source.read() if source else b"")


def _without_map(program: bytes) -> bytes:
    """Less the mention of its source map: no static files are collected while one refers to another that is not there."""
    lines = program.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(_MAP))


def given() -> dict[str, str]:
    """What npm is told: the environment it is set up by."""
    return dict(os.environ)
