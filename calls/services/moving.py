"""Taking recordings from one storage to another, while calls are running.

A row names the new place only once the file is there and is the same; until then it is read where it was. The old file
goes last, when links to it have expired. A run that is killed is gone on with by the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.core.files import File
from django.db import transaction
from django.db.models import Count, Sum

from calls.clock import database_now
from calls.models import CallEvent, Recording
from calls.places import storage_at
from calls.services.checksums import flush, sha256_of
from calls.services.trimming import copy_name
from calls.storage_problems import in_words
from tenants.scope import tenant_scope

logger = structlog.get_logger(__name__)

LINKS_HOLD: Final = timedelta(minutes=15)
_AT_ONCE: Final = 200
_STORED: Final = Recording.State.STORED


@dataclass(frozen=True, slots=True)
class Plan:
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Step:
    """One recording's; `problem` says why it stays where it was."""

    recording_id: UUID
    size: int
    problem: str = ""


def plan(*, to: str) -> Plan:
    """What `move` would take along, of all tenants. Raises NoSuchPlaceError."""
    storage_at(to)
    found = _elsewhere(to).aggregate(files=Count("pk"), size=Sum("size"))
    return Plan(files=found["files"], size=found["size"] or 0)


def move(*, to: str) -> Iterator[Step]:
    """Move every recording that lies elsewhere, oldest first; those that are stored meanwhile, too. Raises NoSuchPlaceError."""
    storage_at(to)
    last = UUID(int=0)
    while rows := list(_elsewhere(to).filter(pk__gt=last).order_by("pk")[:_AT_ONCE]):
        for recording in rows:
            last = recording.pk
            with tenant_scope(recording.tenant_id):
                yield _step(recording, to)


def remove_left_behind(*, now: datetime | None = None) -> int:
    """Delete old files of recordings that were moved long enough ago; returns how many."""
    before = (now or database_now()) - LINKS_HOLD
    due = Recording.all_objects.exclude(left_at="").filter(moved_at__lte=before).order_by("pk")
    removed = 0
    for recording in due.iterator(chunk_size=_AT_ONCE):
        with tenant_scope(recording.tenant_id):
            removed += _remove(recording)
    return removed


def _elsewhere(to: str) -> Any:
    return Recording.all_objects.filter(state=_STORED).exclude(place=to)


def _step(recording: Recording, to: str) -> Step:
    size = recording.size or 0
    try:
        _copy(recording, to)
    except Exception as error:  # noqa: BLE001 - one file that cannot be moved does not hold up the others
        logger.warning("a recording was not moved", recording_id=str(recording.pk), error=in_words(error))
        return Step(recording.pk, size, in_words(error))
    if not _note(recording, to):
        storage_at(to).delete(recording.file)
        return Step(recording.pk, size, "It was deleted or moved by somebody else meanwhile.")
    return Step(recording.pk, size)


def _copy(recording: Recording, to: str) -> None:
    """Compares the copy, as read back, with the checksum the recorder took."""
    target = storage_at(to)
    # What stands there is left from a run that was cut short.
    target.delete(recording.file)
    with storage_at(recording.place).open(recording.file) as file:
        saved = target.save(recording.file, File(file, name=recording.file))
    with target.open(saved) as copy:
        found = sha256_of(copy)
    if saved != recording.file or found != recording.sha256:
        target.delete(saved)
        raise OSError(f"the copy has checksum {found[:12]}…, not {recording.sha256[:12]}…")
    flush(target, saved)


@transaction.atomic
def _note(recording: Recording, to: str) -> bool:
    now = database_now()
    still = Recording.objects.filter(pk=recording.pk, state=_STORED, place=recording.place, file=recording.file)
    # The copy without silences is made anew when somebody asks for it.
    if not still.update(place=to, left_at=recording.place, moved_at=now, copy=""):
        return False
    told = {"from": recording.place, "to": to, "sha256": recording.sha256}
    CallEvent.objects.create(call_id=recording.call_id, kind="recording_moved", at=now, data=told)
    return True


def _remove(recording: Recording) -> bool:
    try:
        old = storage_at(recording.left_at)
        old.delete(recording.file)
        old.delete(copy_name(recording))
    except Exception as error:  # noqa: BLE001 - the next run tries again
        logger.warning("an old copy of a recording was not deleted", recording_id=str(recording.pk), error=in_words(error))
        return False
    mine = Recording.objects.filter(pk=recording.pk, left_at=recording.left_at, moved_at=recording.moved_at)
    return bool(mine.update(left_at=""))
