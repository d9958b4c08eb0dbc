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
from django.db.models import F, Q
from livekit import api

from calls.clock import database_now
from calls.errors import LiveKitDownError, LiveKitError, LiveKitRefusedError
from calls.lifecycle import OBJECT_TYPE
from calls.models import Call, CallEvent, Recording
from calls.places import storage_at
from calls.resolving import scope_of_call
from calls.services.checksums import sha256_of
from calls.services.recordings import keep_until, lose_recording, note_problem
from calls.storage_problems import in_words
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
AGAIN_AFTER: Final = timer(60)
PAUSED: Final = "The recording ended when it was paused: LiveKit cannot pause one."
_UNTOLD: Final = "LiveKit never told how this recording ended; what lay in the bucket was kept."
_NOWHERE: Final = "LiveKit knows nothing of this recording, or its file never came into the bucket."
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


def rests(now: datetime) -> bool:
    """Whether the bucket has just failed: what is wrong with it is wrong for all, and asking takes half a minute."""
    tried = Recording.all_objects.filter(state=_MAKING, tried_at__gt=now - AGAIN_AFTER)
    return bool(tried.exclude(problem="").exists())


def reconcile(*, now: datetime | None = None) -> int:
    """Ask the server about recordings whose end nobody has told; returns how many are done with. Needs no scope.

    Raises LiveKitError.
    """
    now = now or database_now()
    begun = Q(call__answered_at__lte=now - ASK_AFTER)
    found = Recording.all_objects.filter(begun, state=_MAKING).select_related("call")
    open_ones = list(found.order_by(F("tried_at").asc(nulls_first=True), "pk"))
    if not open_ones or not is_configured():
        return 0
    done = 0
    with connected() as livekit:
        for recording in open_ones:
            if rests(now):
                break
            with tenant_scope(recording.tenant_id):
                done += _reconcile(livekit, recording, now)
    return done


def _reconcile(livekit: LiveKit, recording: Recording, now: datetime) -> bool:
    infos = _listed(livekit, recording)
    if infos and not recording.egress_id:
        _note_begun(recording, infos[0].egress_id)
    try:
        return _settle_any(recording, infos) or (_is_overdue(recording.call, infos, now) and _give_up(recording))
    except Exception as error:  # noqa: BLE001 - noted with the recording; it is asked again when the storage answers
        logger.warning("a recording by LiveKit waits", call_id=str(recording.call_id), error=in_words(error))
        return False


def _settle_any(recording: Recording, infos: list[Any]) -> bool:
    try:
        return any(settle(recording.call, info) for info in infos)
    except NotThereYetError:
        return False


def _is_overdue(call: Call, infos: list[Any], now: datetime) -> bool:
    """Whether nothing more is to be expected of the server."""
    ended_long_ago = call.ended_at is not None and call.ended_at <= now - GIVE_UP_AFTER
    return ended_long_ago and all(info.status in _OVER for info in infos)


def _give_up(recording: Recording) -> bool:
    """What the server has forgotten, or told wrongly, may be in the bucket all the same."""
    facts = _facts(recording)
    if facts is None:
        lose_recording(recording.call, detail=_NOWHERE)
        return True
    said = {} if recording.cut_short else {"cut_short": True, "detail": _UNTOLD}
    return _note_stored(recording, **facts, **said, duration_ms=_duration_ms(recording))


def _duration_ms(recording: Recording) -> int | None:
    from calls.sound import duration_ms  # noqa: PLC0415 - codecs, for what LiveKit has forgotten

    with storage_at(PLACE).open(_name(recording.call)) as file:
        return duration_ms(file)


def _listed(livekit: LiveKit, recording: Recording) -> list[Any]:
    known, room = recording.egress_id, recording.call.room
    about = api.ListEgressRequest(egress_id=known) if known else api.ListEgressRequest(room_name=room)
    try:
        items: Iterable[Any] = livekit.ask(lambda lk: lk.egress.list_egress(about), again=True).items
    except LiveKitRefusedError as error:
        logger.warning("LiveKit does not tell of a recording", call_id=str(recording.call_id), error=str(error))
        return []
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
    facts = _facts(recording)
    if facts is None:
        raise NotThereYetError(f"{_name(recording.call)} is not in the bucket yet")
    if facts["size"] != found.size:
        size = facts["size"]
        raise NotThereYetError(f"{_name(recording.call)} has {size} bytes in the bucket; LiveKit has written {found.size}")
    whole = info.status == _STATUS.EGRESS_COMPLETE
    said = {} if whole or recording.cut_short else {"cut_short": True, "detail": info.error or _STATUS.Name(info.status)}
    told = {"duration_ms": round(found.duration / 1_000_000), "egress_id": info.egress_id}
    return _note_stored(recording, **facts, **said, **told)


def _facts(recording: Recording) -> dict[str, Any] | None:
    """Of the file as it lies in the bucket; None when it does not. What the storage raises is noted, and raised."""
    try:
        with storage_at(PLACE).open(_name(recording.call)) as file:
            return {"sha256": sha256_of(file), "size": file.size}
    except FileNotFoundError:
        return None
    except Exception as error:
        note_problem(recording, error)
        raise


@transaction.atomic
def _note_stored(recording: Recording, **facts: Any) -> bool:
    now = database_now()
    stored = {"state": Recording.State.STORED, "file": _name(recording.call), "place": PLACE, "stored_at": now, "problem": ""}
    said = {} if recording.cut_short else {"detail": ""}
    kept = {"keep_until": keep_until(recording.call, now)}
    if not Recording.objects.filter(pk=recording.pk, state=_MAKING).update(**{**stored, **kept, **said, **facts}):
        return False
    told = {name: facts[name] for name in ("duration_ms", "size", "sha256")}
    CallEvent.objects.create(call_id=recording.call_id, kind="recording_stored", at=now, data=told)
    outbox.publish(topic="recording.ready", object_type=OBJECT_TYPE, object_id=recording.call_id, data=told)
    return True
