"""Whether each storage takes, signs, gives back and deletes a file."""

from collections.abc import Callable
from functools import partial
from uuid import uuid4

import requests
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.core.files.storage.handler import InvalidStorageError

from calls.storage_problems import PROBLEMS, in_words, problem_of
from voiceplatform.findings import Finding
from voiceplatform.settings.storages import GCS, PURPOSES

PROBE = b"probe"
TIMEOUT_S = 10


def storage_checks() -> list[Callable[[], Finding]]:
    """One for each storage in use: where new files go, and a bucket that is named besides, where old ones may lie."""
    elsewhere = [f"{purpose}-{GCS}" for purpose in PURPOSES if settings.VP_STORAGE != GCS]
    return [partial(_examine, name) for name in (*PURPOSES, *elsewhere) if name in settings.STORAGES]


def _examine(name: str) -> Finding:
    try:
        done = _probe(storages[name])
    except (Exception, InvalidStorageError) as error:  # noqa: BLE001 - whatever it is, it is to be shown
        return Finding(name, ok=False, detail=in_words(error), fix=_fix(name, error))
    return Finding(name, ok=True, detail=done)


def _probe(storage: Storage) -> str:
    """What was done. Raises what the storage raises."""
    saved = storage.save(f"doctor/{uuid4().hex}.txt", ContentFile(PROBE))
    try:
        with storage.open(saved) as file:
            if file.read() != PROBE:
                raise OSError("the probe that was read is not the one that was written")
        if not hasattr(storage, "bucket_name"):
            return f"a probe was written, read and deleted in {storage.path('')}"
        answer = requests.get(storage.url(saved), timeout=TIMEOUT_S)
        if answer.content != PROBE:
            raise SignedLinkError(f"the signed link answered {answer.status_code}: {answer.text[:200]}")
        return f"a probe was written, signed, read by its link and deleted in gs://{storage.bucket_name}"
    finally:
        storage.delete(saved)


class SignedLinkError(OSError):
    """A link that was just signed does not open."""


def _fix(name: str, error: Exception) -> str:
    if type(error).__name__ in ("SignedLinkError", "SigningError"):
        return (
            "Set GCS_SIGNER_EMAIL to a service account on which ours has the role Service Account Token Creator, "
            "or give GOOGLE_CLOUD_CREDENTIALS a key; check this machine's clock"
        )
    if type(error).__name__ == "CredentialsError":
        return "Set GOOGLE_CLOUD_CREDENTIALS to the path or the text of a service account's JSON key"
    if name.endswith(GCS) or settings.VP_STORAGE == GCS:
        return PROBLEMS[problem_of(error)].next_step
    return "Point VP_FILES at a folder on a disk with space that the platform may write"
