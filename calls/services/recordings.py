"""Recordings: from the host's spool into the storage."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import structlog
from django.core.files import File
from django.db import transaction
from django.db.models import Case, F, TextField, Value, When

from agents.pipeline import upgraded
from calls.clock import database_now
from calls.errors import DamagedRecordingError
from calls.lifecycle import OBJECT_TYPE
from calls.models import Call, CallEvent, Recording
from calls.places import place_now, storage_at
from calls.policies import EVERYTHING, policy_of
from calls.resolving import scope_of_call
from calls.services.checksums import flush, sha256_of
from calls.storage_problems import CopyDiffersError, in_words, problem_of
from tenants import outbox
from tenants.services.features import enabled_features

logger = structlog.get_logger(__name__)

FEATURE: Final = "call-recording"
CONSENT: Final = "recording_consent"
# A stored recording stays so until it is deleted, which is for good.
FINAL: Final = (Recording.State.STORED, Recording.State.DELETED)
# Why a recording is shorter than its call stays true.
_KEPT_DETAIL: Final = Case(When(cut_short=True, then=F("detail")), default=Value("", output_field=TextField()))


def store_recording(call_id: UUID, path: Path) -> Recording:
    """Copy a spooled recording into the storage and remove it from the spool. Enters the call's scope itself.

    May be repeated after a crash at any point. What keeps the storage from taking it is noted and raised. A file that is
    missing or differs from what the journal announced makes the recording lost, stays where it is, and raises
    DamagedRecordingError. Raises Recording.DoesNotExist while the journal has announced none.
    """
    with scope_of_call(call_id), _alone_with(path):
        recording: Recording = Recording.objects.select_related("call__snapshot").get(call_id=call_id)
        if recording.state not in FINAL:
            name = f"{recording.tenant_id}/{call_id}{path.suffix}"
            try:
                _copy(path, name, sha256=recording.sha256)
            except DamagedRecordingError as error:
                lose_recording(recording.call, detail=str(error))
                raise
            except Exception as error:
                note_problem(recording, error)
                raise
            recording = _note_stored(recording, name)
        path.unlink(missing_ok=True)
    return recording


def lose_recording(call: Call, *, detail: str) -> None:
    """Note that a recording there should be is not to be had; a stored one stays."""
    with transaction.atomic():
        _lock(call.pk)
        recording = Recording.objects.filter(call=call).first() or Recording(call=call)
        if recording.state in FINAL:
            return
        recording.state, recording.detail = Recording.State.LOST, detail
        recording.save()
        CallEvent.objects.create(call=call, kind="recording_lost", at=database_now(), data={"detail": detail})
    logger.error("a recording is lost", call_id=str(call.pk), detail=detail)


@transaction.atomic
def note_problem(recording: Recording, error: Exception) -> None:
    """Note what keeps the storage from taking or giving a recording: one event for each problem, however often it is tried."""
    problem, now = problem_of(error), database_now()
    waiting = Recording.objects.filter(pk=recording.pk).exclude(state__in=FINAL)
    is_new = waiting.exclude(problem=problem).update(problem=problem)
    waiting.update(
        tries=F("tries") + 1,
        tried_at=now,
        detail=Case(When(cut_short=True, then=F("detail")), default=Value(in_words(error), output_field=TextField())),
    )
    if is_new:
        told = {"problem": problem, "detail": in_words(error)}
        CallEvent.objects.create(call_id=recording.call_id, kind="recording_waits", at=now, data=told)


def _stored_as(recording: Recording, name: str, now: datetime) -> dict[str, Any]:
    facts = {"state": Recording.State.STORED, "file": name, "place": place_now(), "stored_at": now}
    return {**facts, "keep_until": keep_until(recording.call, now), "problem": "", "detail": _KEPT_DETAIL}


def keep_until(call: Call, now: datetime) -> datetime | None:
    """When a recording that is stored now is to be deleted, by its agent's version."""
    days = upgraded(call.snapshot.body["settings"])["recording"].get("keep_days", 0)
    return now + timedelta(days=days) if days else None


def was_to_be_recorded(call: Call) -> bool:
    """Whether the conversation took place, the version and the tenant wanted it recorded, and whoever had to agreed."""
    spoken = call.answered_at and call.kind != Call.Kind.CHAT
    settings, features = upgraded(call.snapshot.body["settings"]), enabled_features()
    mode = settings["recording"]["mode"]
    if not spoken or mode == "off" or FEATURE not in features or policy_of(settings, features) != EVERYTHING:
        return False
    agreed = CallEvent.objects.filter(call=call, kind=CONSENT, data__answer="yes")
    return bool(mode != "after_consent" or agreed.exists())


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
    storage = storage_at(place_now())
    if not path.is_file():
        raise DamagedRecordingError(f"The spooled file {path} is missing.")
    with path.open("rb") as spooled:
        if (found := sha256_of(spooled)) != sha256:
            raise DamagedRecordingError(f"The spooled file {path} has checksum {found[:12]}…, not {sha256[:12]}….")
        spooled.seek(0)
        # The name is the call's own, so what stands there is left from an attempt that was cut short.
        storage.delete(name)
        saved = storage.save(name, File(spooled))
    with storage.open(saved) as copy:
        if saved != name or sha256_of(copy) != sha256:
            storage.delete(saved)
            raise CopyDiffersError(f"the copy {saved} in the storage differs from {path}")
    flush(storage, name)


def _lock(call_id: UUID) -> None:
    """A call's row is locked before its others, here as in the journal."""
    Call.objects.select_for_update(no_key=True, of=("self",)).get(pk=call_id)


@transaction.atomic
def _note_stored(recording: Recording, name: str) -> Recording:
    _lock(recording.call_id)
    now = database_now()
    waiting = Recording.objects.filter(pk=recording.pk, sha256=recording.sha256).exclude(state__in=FINAL)
    if waiting.update(**_stored_as(recording, name, now)):
        facts = {"duration_ms": recording.duration_ms, "size": recording.size, "sha256": recording.sha256}
        CallEvent.objects.create(call_id=recording.call_id, kind="recording_stored", at=now, data=facts)
        outbox.publish(topic="recording.ready", object_type=OBJECT_TYPE, object_id=recording.call_id, data=facts)
    recording.refresh_from_db()
    return recording
