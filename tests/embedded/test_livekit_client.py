"""LiveKit's program for browsers: taken from what npm delivers, if that is what is expected."""

import base64
import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.livekit import client
from voiceplatform.embedded.livekit.client import FILE, Lock, ensure, is_here

SCRIPT = b"window.LivekitClient = {};\n"
MAP = b"//# sourceMappingURL=livekit-client.umd.js.map"


def package(member: str = "package/dist/livekit-client.umd.js") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in ((member, SCRIPT + MAP), ("../evil.js", b"evil")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def lock_of(packed: bytes) -> Lock:
    digest = base64.b64encode(hashlib.sha512(packed).digest()).decode()
    return Lock("livekit-client", "2.23.0", f"sha512-{digest}", "package/dist/livekit-client.umd.js")


def npm(folder: Path, packed: bytes, *, exit_code: int = 0) -> dict[str, str]:
    """A stand-in that delivers these bytes, and the environment in which it is found. Counts how often it was asked."""
    folder.mkdir(exist_ok=True)
    (folder / "packed").write_bytes(packed)
    program = folder / "npm"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {folder}/asked\n[ {exit_code} = 0 ] || {{ echo "E404 not there" >&2; exit {exit_code}; }}\n'
        f'while [ "$1" != --pack-destination ]; do shift; done\ncp {folder}/packed "$2/livekit-client-2.23.0.tgz"\n'
    )
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_it_is_fetched_once(tmp_path: Path) -> None:
    """Without the mention of a source map, over which collecting the static files would fail."""
    packed, folder = package(), tmp_path / "static"
    values, lock = npm(tmp_path / "bin", packed), lock_of(packed)
    assert ensure(values, lock=lock, folder=folder).read_bytes() == SCRIPT
    ensure(values, lock=lock, folder=folder)
    assert (tmp_path / "bin" / "asked").read_text().count("pack livekit-client@2.23.0") == 1
    assert sorted(path.name for path in folder.iterdir()) == [FILE, f"{FILE}.integrity"]
    assert not is_here(lock_of(package("other")), folder=folder), "another version is fetched anew"


@pytest.mark.parametrize(
    ("packed", "exit_code", "told"),
    [
        (package() + b"x", 0, "something else"),
        (b"", 0, "something else"),
        (package(), 1, "E404 not there"),
    ],
)
def test_what_is_not_expected_is_not_kept(tmp_path: Path, packed: bytes, exit_code: int, told: str) -> None:
    folder = tmp_path / "static"
    with pytest.raises(EmbeddedError, match=told):
        ensure(npm(tmp_path / "bin", packed, exit_code=exit_code), lock=lock_of(package()), folder=folder)
    assert list(folder.iterdir()) == []


def test_a_package_without_the_file_is_refused(tmp_path: Path) -> None:
    packed = package("package/dist/other.js")
    with pytest.raises(EmbeddedError, match=r"has no package/dist/livekit-client\.umd\.js"):
        ensure(npm(tmp_path / "bin", packed), lock=lock_of(packed), folder=tmp_path / "static")


def test_without_npm_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"install Node\.js"):
        ensure({"PATH": str(tmp_path)}, lock=lock_of(package()), folder=tmp_path / "static")


def test_the_lock_names_one_version_and_its_checksum() -> None:
    lock = Lock.read()
    assert (lock.name, lock.version[0].isdigit()) == ("livekit-client", True)
    assert len(base64.b64decode(lock.integrity.removeprefix("sha512-"))) == 64
    ignored = (client.PROJECT / ".gitignore").read_text().splitlines()
    assert f"/{client.FOLDER.relative_to(client.PROJECT)}/" in ignored
