"""Recordings that the LiveKit server makes: a room composite, written straight into the bucket.

The row is there before the server is asked, so that a request whose answer is lost is found again. How it ended is told
by the server's messages, which may be late or come twice, and by asking for what is still open.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from livekit import api

from calls.clock import database_now
from calls.errors import LiveKitDownError, LiveKitError, LiveKitRefusedError
from calls.lifecycle import OBJECT_TYPE
from calls.models import Call, CallEvent, Recording
from calls.places import storage_at
from calls.resolving import scope_of_call
from calls.services.checksums import sha256_of
from calls.services.recordings import keep_until, lose_recording
from calls.telephony.client import LiveKit, connected, is_configured
from calls.timers import timer
from tenants import outbox
from tenants.scope import tenant_scope

logger = structlog.get_logger(__name__)

FEATURE: Final = "livekit-egress"
PLACE: Final = "gcs"
ALIAS: Final = f"recordings-{PLACE}"
ASK_AFTER: Final = timer(20)
GIVE_UP_AFTER: Final = timedelta(minutes=10)
PAUSED: Final = "The recording ended when it was paused: LiveKit cannot pause one."
_STATUS: Final = api.EgressStatus
_OVER: Final = (_STATUS.EGRESS_COMPLETE, _STATUS.EGRESS_FAILED, _STATUS.EGRESS_ABORTED, _STATUS.EGRESS_LIMIT_REACHED)
_MAKING: Final = Recording.State.MAKING


class NotThereYetError(OSError):
    """The server says that the file is complete, and the bucket does not have it."""


def is_available() -> bool:
    """Whether there are a server that records and a bucket it can write to."""
    return is_configured() and ALIAS in settings.STORAGES


def start_recording(call_id: UUID) -> bool:
    """Have the server record the call's room; False where it would not. Enters the call's scope; may be repeated."""
    with scope_of_call(call_id):
        call = Call.objects.get(pk=call_id)
        recording = _announce(call)
        if recording.state != _MAKING or recording.egress_id:
            return bool(recording.egress_id)
        try:
            with connected() as livekit:
                info = livekit.ask(lambda lk: lk.egress.start_room_composite_egress(_request(call)))
        except LiveKitDownError as error:
            # Whether it records is not known; `reconcile` asks.
            logger.warning("it is not known whether LiveKit records a call", call_id=str(call_id), error=str(error))
            return False
        except LiveKitError as error:
            lose_recording(call, detail=f"LiveKit would not record it: {error}")
            return False
        _note_begun(recording, info.egress_id)
        return True


def stop_recording(call_id: UUID, *, paused: bool = False) -> None:
    """Ask the server to finish the file. Enters the call's scope; may be repeated. Raises LiveKitDownError."""
    with scope_of_call(call_id):
        making = Recording.objects.filter(call_id=call_id, state=_MAKING).exclude(egress_id="")
        if paused:
            making.update(cut_short=True, detail=PAUSED)
        egress_id = making.values_list("egress_id", flat=True).first()
    if egress_id:
        try:
            with connected() as livekit:
                livekit.ask(lambda lk: lk.egress.stop_egress(api.StopEgressRequest(egress_id=egress_id)), again=True)
        except LiveKitRefusedError as error:
            logger.info("LiveKit had stopped recording already", call_id=str(call_id), error=str(error))


def settle(call: Call, info: Any) -> bool:
    """Take over how a recording ended, of the tenant in scope; False when it has not, or is known.

    Raises what the storage raises, NotThereYetError among it: ask again later.
    """
    making = Recording.objects.select_related("call__snapshot").filter(
        call=call, state=_MAKING, egress_id__in=["", info.egress_id]
    )
    recording = making.first()
    if recording is None or info.status not in _OVER:
        return False
    found = info.file_results[0] if info.file_results else None
    if found is None or not found.size:
        lose_recording(call, detail=f"LiveKit's recording failed: {info.error or _STATUS.Name(info.status)}")
        return True
    return _store(recording, info, found)


def reconcile(*, now: datetime | None = None) -> int:
    """Ask the server about recordings whose end nobody has told; returns how many are done with. Needs no scope.

    Raises LiveKitError.
    """
    now = now or database_now()
    begun = Q(call__answered_at__lte=now - ASK_AFTER)
    open_ones = list(Recording.all_objects.filter(begun, state=_MAKING).select_related("call"))
    if not open_ones or not is_configured():
        return 0
    done = 0
    with connected() as livekit:
        for recording in open_ones:
            with tenant_scope(recording.tenant_id):
                done += _reconcile(livekit, recording, now)
    return done


def _reconcile(livekit: LiveKit, recording: Recording, now: datetime) -> bool:
    call = recording.call
    try:
        infos = _listed(livekit, recording)
        if infos and not recording.egress_id:
            _note_begun(recording, infos[0].egress_id)
        if any(settle(call, info) for info in infos):
            return True
    except LiveKitDownError:
        raise
    except Exception:
        logger.exception("a recording by LiveKit could not be taken over", call_id=str(call.pk))
        infos = []
    ended_long_ago = call.ended_at is not None and call.ended_at <= now - GIVE_UP_AFTER
    if ended_long_ago and not any(info.status not in _OVER for info in infos):
        lose_recording(call, detail="LiveKit knows nothing of this recording, or its file never came into the bucket.")
        return True
    return False


def _listed(livekit: LiveKit, recording: Recording) -> list[Any]:
    known, room = recording.egress_id, recording.call.room
    about = api.ListEgressRequest(egress_id=known) if known else api.ListEgressRequest(room_name=room)
    items: Iterable[Any] = livekit.ask(lambda lk: lk.egress.list_egress(about), again=True).items
    return sorted(items, key=lambda info: info.started_at)


@transaction.atomic
def _announce(call: Call) -> Recording:
    Call.objects.select_for_update(no_key=True, of=("self",)).get(pk=call.pk)
    known: Recording | None = Recording.objects.filter(call=call).first()
    return known or Recording.objects.create(call=call, state=_MAKING, maker=Recording.Maker.EGRESS)


def _request(call: Call) -> api.RoomCompositeEgressRequest:
    options = settings.STORAGES[ALIAS]["OPTIONS"]
    # An empty credential means the egress service's own.
    upload = api.GCPUpload(bucket=options["bucket_name"], credentials=settings.EGRESS_GOOGLE_CREDENTIALS)
    path = f"{options['location']}/{_name(call)}"
    file = api.EncodedFileOutput(file_type=api.EncodedFileType.OGG, filepath=path, disable_manifest=True, gcp=upload)
    mixing = api.AudioMixing.DUAL_CHANNEL_AGENT
    return api.RoomCompositeEgressRequest(room_name=call.room, audio_only=True, audio_mixing=mixing, file_outputs=[file])


def _name(call: Call) -> str:
    return f"{call.tenant_id}/{call.pk}-egress.ogg"


@transaction.atomic
def _note_begun(recording: Recording, egress_id: str) -> None:
    if Recording.objects.filter(pk=recording.pk, egress_id="").update(egress_id=egress_id):
        told = {"egress_id": egress_id}
        CallEvent.objects.create(call_id=recording.call_id, kind="egress_started", at=database_now(), data=told)


def _store(recording: Recording, info: Any, found: Any) -> bool:
    """Only once the file has been read: the server's word for its size is not enough."""
    name = _name(recording.call)
    try:
        with storage_at(PLACE).open(name) as file:
            digest, size = sha256_of(file), file.size
    except FileNotFoundError as error:
        raise NotThereYetError(f"{name} is not in the bucket yet") from error
    if size != found.size:
        raise NotThereYetError(f"{name} has {size} bytes in the bucket, not the {found.size} that LiveKit has written")
    return _note_stored(recording, info, sha256=digest, size=size, duration_ms=round(found.duration / 1_000_000))


@transaction.atomic
def _note_stored(recording: Recording, info: Any, **facts: Any) -> bool:
    now = database_now()
    whole = info.status == _STATUS.EGRESS_COMPLETE
    said = {} if whole or recording.cut_short else {"cut_short": True, "detail": info.error or _STATUS.Name(info.status)}
    stored = {"state": Recording.State.STORED, "file": _name(recording.call), "place": PLACE, "stored_at": now}
    kept = {"egress_id": info.egress_id, "keep_until": keep_until(recording.call, now)}
    if not Recording.objects.filter(pk=recording.pk, state=_MAKING).update(**stored, **kept, **facts, **said):
        return False
    told = {name: facts[name] for name in ("duration_ms", "size", "sha256")}
    CallEvent.objects.create(call_id=recording.call_id, kind="recording_stored", at=now, data=told)
    outbox.publish(topic="recording.ready", object_type=OBJECT_TYPE, object_id=recording.call_id, data=told)
    return True
