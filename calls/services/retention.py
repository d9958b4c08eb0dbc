"""Deleting recordings when their time is over: the file, its copies, and then the row's state.

An agent's setting is fixed when its recording is stored; the tenant's feature counts as it is now. A run that is killed is
gone on with by the next, because a row says stored until all its files are gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q

from calls.clock import database_now
from calls.models import CallEvent, Recording
from calls.places import storage_at
from calls.services.trimming import copy_name
from calls.storage_problems import in_words, problem_of
from tenants.models import Tenant, User
from tenants.scope import tenant_scope
from tenants.services import audit
from tenants.services.features import enabled_features

logger = structlog.get_logger(__name__)

FEATURE: Final = "recording-retention"
_AT_ONCE: Final = 200
_STORED: Final = Recording.State.STORED


@dataclass(frozen=True, slots=True)
class Due:
    """A recording whose time is over; `problem` says why it is there all the same."""

    recording_id: UUID
    tenant_id: UUID
    size: int
    problem: str = ""


def apply_retention(*, now: datetime | None = None, dry_run: bool = False) -> Iterator[Due]:
    """Delete what is due, of every tenant; with `dry_run` only tell it."""
    now = now or database_now()
    for tenant in Tenant.objects.exclude(status=Tenant.Status.PURGED).order_by("pk"):
        with tenant_scope(tenant):
            due = _due(now)
            last = UUID(int=0)
            while rows := list(due.filter(pk__gt=last).order_by("pk")[:_AT_ONCE]):
                for recording in rows:
                    last = recording.pk
                    yield _told(recording, "" if dry_run else _delete(recording))


def delete_recording(recording: Recording, *, reason: str, actor: User | None = None) -> bool:
    """Delete a stored recording of the tenant in scope for good; False when it is not stored. Raises what the storage raises."""
    if recording.state != _STORED:
        return False
    for place in {recording.place, recording.left_at} - {""}:
        storage = storage_at(place)
        storage.delete(recording.file)
        storage.delete(copy_name(recording))
    return _note_deleted(recording, reason=reason, actor=actor)


def _due(now: datetime) -> Any:
    over = Q(keep_until__lte=now)
    if days := enabled_features().get(FEATURE, {}).get("days"):
        over |= Q(stored_at__lte=now - timedelta(days=days))
    return Recording.objects.filter(over, state=_STORED)


def _delete(recording: Recording) -> str:
    """What went wrong, in words; the next run tries again."""
    try:
        delete_recording(recording, reason="Its time was over.")
    except Exception as error:  # noqa: BLE001 - one file that cannot be deleted does not hold up the others
        logger.warning("a recording was not deleted", recording_id=str(recording.pk), error=in_words(error))
        Recording.objects.filter(pk=recording.pk, state=_STORED).update(problem=problem_of(error))
        return in_words(error)
    return ""


@transaction.atomic
def _note_deleted(recording: Recording, *, reason: str, actor: User | None) -> bool:
    now = database_now()
    gone: dict[str, Any] = {"state": Recording.State.DELETED, "deleted_at": now, "detail": reason, "problem": ""}
    gone |= {"file": "", "stored_at": None, "left_at": "", "copy": "", "spool_path": ""}
    if not Recording.objects.filter(pk=recording.pk, state=_STORED, file=recording.file).update(**gone):
        return False
    CallEvent.objects.create(call_id=recording.call_id, kind="recording_deleted", at=now, data={"reason": reason})
    audit.record(action="recording.deleted", target=recording, actor=actor, data={"call_id": recording.call_id}, reason=reason)
    return True


def _told(recording: Recording, problem: str) -> Due:
    return Due(recording.pk, recording.tenant_id, recording.size or 0, problem)
