"""Whether two files are the same, and on the disk."""

import hashlib
import os
from typing import IO, Final

from django.core.files import File
from django.core.files.storage import Storage

_CHUNK: Final = 1024 * 1024


def sha256_of(file: IO[bytes] | File) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def flush(storage: Storage, name: str) -> None:
    """The other copy is about to go, so one on this machine must be on the disk."""
    try:
        path = storage.path(name)
    except NotImplementedError:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
