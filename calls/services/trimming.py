"""A copy of a recording without its long silences, for download: made once, when somebody first asks for it.

The original is what is played and stays as it is.
"""

import tempfile
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.core.files import File
from django.db import transaction
from django.db.models import Q

from calls.clock import database_now
from calls.errors import RecordingNotStoredError
from calls.models import Recording
from calls.places import storage_at
from calls.services.checksums import sha256_of
from calls.storage_problems import in_words
from tenants.scope import current_tenant_id
from voiceplatform.lib import broker

logger = structlog.get_logger(__name__)

TASK: Final = "calls.tasks.trim_recording"
LEASE: Final = timedelta(minutes=10)
ASKED_AGAIN: Final = timedelta(minutes=1)
State, Copy = Recording.State, Recording.Copy


def copy_name(recording: Recording) -> str:
    """What the copy of a stored recording is called, whether it has been made or not."""
    return f"{recording.file.removesuffix('.ogg')}-trimmed.ogg"


@transaction.atomic
def ask_for_trimmed(recording: Recording) -> Recording:
    """Have the copy made, unless it is there or being made. Raises RecordingNotStoredError."""
    stored = Recording.objects.filter(pk=recording.pk, state=State.STORED)
    wanted = stored.filter(copy__in=[Copy.NONE, Copy.FAILED])
    if wanted.update(copy=Copy.ASKED, copy_asked_at=database_now(), copy_detail=""):
        broker.send_on_commit(TASK, args=[str(recording.pk)], tenant_id=current_tenant_id())
    elif not stored.exists():
        raise RecordingNotStoredError(f"{recording.public_id} is not stored, so there is nothing to trim.")
    recording.refresh_from_db()
    return recording


def make_trimmed(recording_id: UUID) -> bool:
    """Make the copy that was asked for; False when nobody waits for it, or it failed. Runs in the tenant's scope."""
    now = database_now()
    waits = Q(copy=Copy.ASKED) | Q(copy=Copy.MAKING, copy_asked_at__lte=now - LEASE)
    mine = Recording.objects.filter(waits, pk=recording_id, state=State.STORED)
    if not mine.update(copy=Copy.MAKING, copy_asked_at=now):
        return False
    recording: Recording = Recording.objects.get(pk=recording_id)
    try:
        facts = _make(recording)
    except Exception as error:
        logger.exception("a recording could not be trimmed", recording_id=str(recording_id))
        _settle(recording, now, copy=Copy.FAILED, copy_detail=in_words(error))
        return False
    if _settle(recording, now, copy=Copy.MADE, **facts):
        return True
    storage_at(recording.place).delete(copy_name(recording))
    return False


def wake_waiting(*, now: datetime | None = None) -> int:
    """Ask again for copies whose making was lost on the way; of all tenants."""
    now = now or database_now()
    lost = Q(copy=Copy.ASKED, copy_asked_at__lte=now - ASKED_AGAIN) | Q(copy=Copy.MAKING, copy_asked_at__lte=now - LEASE)
    waiting = Recording.all_objects.filter(lost, state=State.STORED).values_list("pk", "tenant_id")[:100]
    return sum(broker.send(TASK, args=[str(pk)], tenant_id=tenant_id) for pk, tenant_id in waiting)


def _make(recording: Recording) -> dict[str, object]:
    from calls.sound import trim_silence  # noqa: PLC0415 - codecs, for the few processes that trim

    storage = storage_at(recording.place)
    with tempfile.TemporaryFile() as target:
        with storage.open(recording.file) as source:
            trimmed = trim_silence(source, target)
        size = target.tell()
        target.seek(0)
        digest = sha256_of(target)
        target.seek(0)
        name = copy_name(recording)
        storage.delete(name)
        storage.save(name, File(target, name=name))
    return {"copy_size": size, "copy_sha256": digest, "copy_duration_ms": trimmed.duration_ms}


def _settle(recording: Recording, began: datetime, **changes: object) -> bool:
    """Unless the recording was deleted or moved, or somebody else makes the copy by now."""
    mine = Recording.objects.filter(pk=recording.pk, state=State.STORED, place=recording.place)
    return bool(mine.filter(copy=Copy.MAKING, copy_asked_at=began).update(**changes))
