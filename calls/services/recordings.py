"""Recordings: from the host's spool into the storage."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final
from uuid import UUID

import structlog
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.db import transaction

from calls.clock import database_now
from calls.errors import DamagedRecordingError
from calls.lifecycle import OBJECT_TYPE
from calls.models import Call, CallEvent, Recording
from calls.resolving import scope_of_call
from tenants import outbox
from tenants.services.features import enabled_features

logger = structlog.get_logger(__name__)

FEATURE: Final = "call-recording"
_CHUNK: Final = 1024 * 1024


def store_recording(call_id: UUID, path: Path) -> Recording:
    """Copy a spooled recording into the storage and remove it from the spool. Enters the call's scope itself.

    May be repeated after a crash at any point. A file that is missing or differs from what the journal announced
    makes the recording lost, stays where it is, and raises DamagedRecordingError. Raises Recording.DoesNotExist
    while the journal has announced none.
    """
    with scope_of_call(call_id), _alone_with(path):
        recording: Recording = Recording.objects.select_related("call").get(call_id=call_id)
        if recording.state != Recording.State.STORED:
            name = f"{recording.tenant_id}/{call_id}{path.suffix}"
            try:
                _copy(path, name, sha256=recording.sha256)
            except DamagedRecordingError as error:
                lose_recording(recording.call, detail=str(error))
                raise
            recording = _note_stored(recording, name)
        path.unlink(missing_ok=True)
    return recording


def lose_recording(call: Call, *, detail: str) -> None:
    """Note that a recording there should be is not to be had; a stored one stays."""
    with transaction.atomic():
        _lock(call.pk)
        recording = Recording.objects.filter(call=call).first() or Recording(call=call)
        if recording.state == Recording.State.STORED:
            return
        recording.state, recording.detail = Recording.State.LOST, detail
        recording.save()
        CallEvent.objects.create(call=call, kind="recording_lost", at=database_now(), data={"detail": detail})
    logger.error("a recording is lost", call_id=str(call.pk), detail=detail)


def was_to_be_recorded(call: Call) -> bool:
    """Whether the conversation took place and the version and the tenant wanted it recorded."""
    spoken = call.answered_at and call.kind != Call.Kind.CHAT
    return bool(spoken and call.snapshot.body["settings"]["record"] and FEATURE in enabled_features())


@contextmanager
def _alone_with(path: Path) -> Iterator[None]:
    """A job and its host may store the same file: the second waits, and then finds it stored."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _copy(path: Path, name: str, *, sha256: str) -> None:
    """Compares the copy, as read back, with the checksum the recorder took."""
    storage = storages["recordings"]
    if not path.is_file():
        raise DamagedRecordingError(f"The spooled file {path} is missing.")
    with path.open("rb") as spooled:
        if (found := _sha256(spooled)) != sha256:
            raise DamagedRecordingError(f"The spooled file {path} has checksum {found[:12]}…, not {sha256[:12]}….")
        spooled.seek(0)
        # The name is the call's own, so what stands there is left from an attempt that was cut short.
        storage.delete(name)
        saved = storage.save(name, File(spooled))
    with storage.open(saved) as copy:
        if saved != name or _sha256(copy) != sha256:
            storage.delete(saved)
            raise OSError(f"the copy {saved} in the storage differs from {path}")
    _flush(storage, name)


def _sha256(file: IO[bytes] | File) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _flush(storage: Storage, name: str) -> None:
    """The spool is about to go, so a copy on this machine must be on the disk."""
    try:
        path = storage.path(name)
    except NotImplementedError:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(call_id: UUID) -> None:
    """A call's row is locked before its others, here as in the journal."""
    Call.objects.select_for_update(no_key=True, of=("self",)).get(pk=call_id)


@transaction.atomic
def _note_stored(recording: Recording, name: str) -> Recording:
    _lock(recording.call_id)
    now = database_now()
    waiting = Recording.objects.filter(pk=recording.pk, sha256=recording.sha256).exclude(state=Recording.State.STORED)
    if waiting.update(state=Recording.State.STORED, file=name, stored_at=now, detail=""):
        facts = {"duration_ms": recording.duration_ms, "size": recording.size, "sha256": recording.sha256}
        CallEvent.objects.create(call_id=recording.call_id, kind="recording_stored", at=now, data=facts)
        outbox.publish(topic="recording.ready", object_type=OBJECT_TYPE, object_id=recording.call_id, data=facts)
    recording.refresh_from_db()
    return recording
