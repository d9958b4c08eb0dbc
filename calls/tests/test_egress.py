"""Recordings that LiveKit makes: asked for, told about late, twice or never, and taken over only when they are there."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from google.protobuf.json_format import MessageToJson
from livekit import api

from calls.clock import database_now
from calls.errors import LiveKitDownError
from calls.models import Call, CallEvent, ProviderEvent, Recording
from calls.services import finalize_call
from calls.telephony import client, egress, events
from calls.telephony.egress import NotThereYetError, reconcile, settle, start_recording, stop_recording
from tenants.models import OutboxEvent, Tenant
from tenants.scope import tenant_scope
from tests.fakes.egress_server import KEY, SECRET, EgressServer, Status, serve_egress
from tests.fakes.gcs_server import BUCKET, GcsServer
from voiceplatform.lib import gcs

SOUND = b"OggS" + bytes(500)
ROOM = "out_egress"
_ids = count(1)


@pytest.fixture(scope="module")
def served() -> Iterator[EgressServer]:
    with serve_egress() as server:
        yield server


@pytest.fixture
def livekit(served: EgressServer, settings: Any, both_places: GcsServer) -> EgressServer:
    served.reset()
    settings.LIVEKIT_URL, settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET = served.url, KEY, SECRET
    settings.EGRESS_GOOGLE_CREDENTIALS = '{"type": "service_account"}'
    return served


@pytest.fixture
def call(placed: Callable[..., Call], livekit: EgressServer) -> Call:
    made = placed(status="in_progress")
    Call.all_objects.filter(pk=made.pk).update(room=ROOM)
    made.refresh_from_db()
    return made


def recording(call: Call) -> Recording:
    with tenant_scope(call.tenant_id):
        found: Recording = Recording.objects.get(call=call)
        return found


def put(bucket: GcsServer, call: Call, content: bytes = SOUND) -> None:
    bucket.objects[f"recordings/{call.tenant_id}/{call.pk}-egress.ogg"] = content


def tell(kind: str, info: Any, *, at: datetime | None = None) -> int:
    """What the server posts, signed as it signs."""
    event = api.WebhookEvent(
        id=f"EV_{next(_ids)}", event=kind, egress_info=info, created_at=int((at or database_now()).timestamp())
    )
    body = MessageToJson(event)
    token = api.AccessToken(KEY, SECRET).with_sha256(base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()).to_jwt()
    headers = {"Authorization": token}
    status: int = Client().post("/hooks/livekit", body, content_type="application/webhook+json", headers=headers).status_code
    events.handle_events()
    return status


def test_the_server_is_asked_once_for_both_sides_in_our_bucket(call: Call, livekit: EgressServer) -> None:
    assert [start_recording(call.pk) for _ in range(2)] == [True, True]
    [asked] = livekit.started
    [file] = asked.file_outputs
    assert (asked.room_name, asked.audio_only, asked.audio_mixing) == (ROOM, True, api.AudioMixing.DUAL_CHANNEL_AGENT)
    assert (file.filepath, file.gcp.bucket) == (f"recordings/{call.tenant_id}/{call.pk}-egress.ogg", BUCKET)
    assert file.gcp.credentials == '{"type": "service_account"}'
    made = recording(call)
    assert (made.state, made.maker, made.egress_id, made.file) == ("making", "egress", "EG_1", "")
    stop_recording(call.pk)
    stop_recording(call.pk)
    assert livekit.stopped == ["EG_1"]


def test_a_recording_is_taken_over_when_its_end_is_told(call: Call, livekit: EgressServer, both_places: GcsServer) -> None:
    start_recording(call.pk)
    for kind in ("egress_started", "egress_updated"):
        assert tell(kind, livekit.infos["EG_1"]) == 200
    assert recording(call).state == "making"
    put(both_places, call)
    info = livekit.finish("EG_1", size=len(SOUND))
    assert [tell("egress_ended", info) for _ in range(2)] == [200, 200]
    made = recording(call)
    assert (made.state, made.place, made.duration_ms, made.size) == ("stored", "gcs", 7000, len(SOUND))
    assert (made.sha256, made.cut_short) == (hashlib.sha256(SOUND).hexdigest(), False)
    with tenant_scope(call.tenant_id):
        assert CallEvent.objects.filter(kind="recording_stored").count() == 1
        assert OutboxEvent.objects.filter(topic="recording.ready").count() == 1
    assert not ProviderEvent.objects.filter(handled_at=None).exists()


def test_an_end_that_is_told_late_counts_after_the_call_is_finalised(
    call: Call, livekit: EgressServer, both_places: GcsServer, within: Any
) -> None:
    start_recording(call.pk)
    Call.all_objects.filter(pk=call.pk).update(
        status="ended", disposition="completed", ended_reason="hung_up", ended_at=timezone.now()
    )
    assert finalize_call(call_id=call.pk)
    assert recording(call).state == "making"
    put(both_places, call)
    tell("egress_ended", livekit.finish("EG_1", size=len(SOUND)))
    assert recording(call).state == "stored"


@pytest.mark.parametrize(
    ("status", "error"),
    [(Status.EGRESS_FAILED, "Start signal not received"), (Status.EGRESS_ABORTED, ""), (Status.EGRESS_COMPLETE, "")],
)
def test_one_that_failed_is_lost_with_its_reason(call: Call, livekit: EgressServer, status: Any, error: str) -> None:
    start_recording(call.pk)
    info = livekit.finish("EG_1", status=status, error=error)
    tell("egress_ended", info)
    tell("egress_ended", info)
    made = recording(call)
    assert (made.state, (error or Status.Name(status)) in made.detail) == ("lost", True)


def test_what_was_written_before_it_failed_is_kept(call: Call, livekit: EgressServer, both_places: GcsServer) -> None:
    start_recording(call.pk)
    put(both_places, call)
    tell("egress_ended", livekit.finish("EG_1", status=Status.EGRESS_FAILED, size=len(SOUND), error="out of memory"))
    made = recording(call)
    assert (made.state, made.cut_short, made.detail) == ("stored", True, "out of memory")


def test_a_file_that_is_not_there_yet_is_not_called_stored(
    call: Call, livekit: EgressServer, both_places: GcsServer, within: Any
) -> None:
    start_recording(call.pk)
    info = livekit.finish("EG_1", size=len(SOUND))
    with pytest.raises(NotThereYetError):
        within(settle, call, info)
    put(both_places, call, SOUND[:-1])
    tell("egress_ended", info)
    assert recording(call).state == "making"
    assert ProviderEvent.objects.filter(handled_at=None).count() == 1
    put(both_places, call)
    events.handle_events()
    assert (recording(call).state, ProviderEvent.objects.filter(handled_at=None).count()) == ("stored", 0)


def test_a_lost_answer_is_found_again(
    call: Call, livekit: EgressServer, both_places: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    livekit.stalls_s = 0.5
    monkeypatch.setattr(egress, "connected", lambda: client.connected(timeout_s=0.2))
    assert start_recording(call.pk) is False
    assert (recording(call).state, recording(call).egress_id, len(livekit.started)) == ("making", "", 1)
    livekit.stalls_s = 0
    put(both_places, call)
    assert reconcile(now=timezone.now() + timedelta(minutes=1)) == 0
    assert recording(call).egress_id == "EG_1"
    livekit.finish("EG_1", size=len(SOUND))
    assert reconcile(now=timezone.now() + timedelta(minutes=1)) == 1
    assert recording(call).state == "stored"


def test_an_end_that_nobody_tells_is_asked_for(call: Call, livekit: EgressServer, both_places: GcsServer) -> None:
    start_recording(call.pk)
    put(both_places, call)
    livekit.finish("EG_1", size=len(SOUND))
    assert reconcile(now=call.answered_at) == 0
    assert reconcile(now=timezone.now() + timedelta(minutes=1)) == 1
    assert recording(call).state == "stored"


def test_what_the_server_has_forgotten_is_lost_at_last(call: Call, livekit: EgressServer) -> None:
    start_recording(call.pk)
    livekit.infos.clear()
    ended = {"status": "ended", "disposition": "completed", "ended_reason": "hung_up", "ended_at": timezone.now()}
    Call.all_objects.filter(pk=call.pk).update(**ended)
    assert reconcile(now=timezone.now() + timedelta(minutes=9)) == 0
    assert reconcile(now=timezone.now() + timedelta(minutes=11)) == 1
    assert (recording(call).state, "knows nothing" in recording(call).detail) == ("lost", True)


def test_a_server_that_will_not_record_is_told(call: Call, livekit: EgressServer) -> None:
    livekit.refuses = "failed_precondition"
    assert start_recording(call.pk) is False
    assert (recording(call).state, "egress not connected" in recording(call).detail) == ("lost", True)


def test_a_server_that_is_away_is_no_end(call: Call, livekit: EgressServer) -> None:
    start_recording(call.pk)
    livekit.refuses = "unavailable"
    with pytest.raises(LiveKitDownError):
        stop_recording(call.pk)
    with pytest.raises(LiveKitDownError):
        reconcile(now=timezone.now() + timedelta(hours=1))
    assert recording(call).state == "making"


def test_a_pause_ends_it(call: Call, livekit: EgressServer, both_places: GcsServer) -> None:
    start_recording(call.pk)
    stop_recording(call.pk, paused=True)
    put(both_places, call)
    tell("egress_ended", livekit.finish("EG_1", size=len(SOUND)))
    made = recording(call)
    assert (made.state, made.cut_short, "paused" in made.detail) == ("stored", True, True)


def test_somebody_elses_recording_is_left_alone(call: Call, livekit: EgressServer, tenant: Tenant) -> None:
    start_recording(call.pk)
    other = api.EgressInfo(egress_id="EG_other", room_name=ROOM, status=Status.EGRESS_FAILED)
    assert tell("egress_ended", other) == 200
    assert recording(call).state == "making"


def over(call: Call) -> None:
    ended = {"status": "ended", "disposition": "completed", "ended_reason": "hung_up", "ended_at": timezone.now()}
    Call.all_objects.filter(pk=call.pk).update(**ended)


FAULTS = [("is_down", "unreachable"), ("revoked", "key_refused"), ("buckets", "no_bucket")]


@pytest.mark.parametrize(("fault", "problem"), FAULTS)
def test_a_bucket_that_fails_for_an_hour_loses_no_recording(
    call: Call, livekit: EgressServer, both_places: GcsServer, monkeypatch: pytest.MonkeyPatch, fault: str, problem: str
) -> None:
    monkeypatch.setattr(gcs, "_RETRY", gcs._RETRY.with_timeout(0.1).with_delay(initial=0.05, maximum=0.05))
    start_recording(call.pk)
    put(both_places, call)
    info, kept = livekit.finish("EG_1", size=len(SOUND)), both_places.buckets
    over(call)
    setattr(both_places, fault, {} if fault == "buckets" else True)
    tell("egress_ended", info)
    for minutes in range(2, 60, 6):
        assert reconcile(now=timezone.now() + timedelta(minutes=minutes)) == 0
    waits = recording(call)
    assert (waits.state, waits.problem, waits.tries) == ("making", problem, 11)
    assert waits.detail
    both_places.is_down, both_places.revoked, both_places.buckets = False, False, kept
    assert reconcile(now=timezone.now() + timedelta(minutes=61)) == 1
    made = recording(call)
    assert (made.state, made.problem, made.detail, made.cut_short) == ("stored", "", "", False)
    with tenant_scope(call.tenant_id):
        assert CallEvent.objects.filter(kind="recording_waits").count() == 1
        assert OutboxEvent.objects.filter(topic="recording.ready").count() == 1


def test_a_bucket_that_fails_is_left_in_peace_for_a_minute(
    call: Call, livekit: EgressServer, both_places: GcsServer, placed: Callable[..., Call]
) -> None:
    start_recording(call.pk)
    both_places.revoked = True
    tell("egress_ended", livekit.finish("EG_1", size=len(SOUND)))
    other = placed(status="in_progress")
    Call.all_objects.filter(pk=other.pk).update(room="out_other")
    start_recording(other.pk)
    asked = len(both_places.requests)
    tell("egress_ended", livekit.finish("EG_2", size=len(SOUND)))
    assert reconcile(now=timezone.now() + timedelta(seconds=30)) == 0
    assert len(both_places.requests) == asked
    both_places.revoked = False
    for one in (call, other):
        put(both_places, one)
    assert reconcile(now=timezone.now() + timedelta(minutes=2)) == 2


def test_others_news_do_not_wait_for_the_bucket(call: Call, livekit: EgressServer, monkeypatch: pytest.MonkeyPatch) -> None:
    start_recording(call.pk)
    handled: list[str] = []
    handle = events._handle
    monkeypatch.setattr(events, "_handle", lambda event, *rest: handled.append(event.kind) or handle(event, *rest))
    body = {"provider": "livekit", "room": ROOM, "at": timezone.now()}
    for number, kind in enumerate(["egress_ended", "participant_joined"]):
        at = timezone.now() - timedelta(seconds=9 - number)
        ProviderEvent.objects.create(event_id=f"EV_order_{number}", kind=kind, received_at=at, **body)
    events.handle_events()
    assert handled == ["participant_joined", "egress_ended"]


def test_what_the_server_has_forgotten_is_looked_for_in_the_bucket(
    call: Call, livekit: EgressServer, both_places: GcsServer
) -> None:
    start_recording(call.pk)
    livekit.infos.clear()
    over(call)
    put(both_places, call)
    assert reconcile(now=timezone.now() + timedelta(minutes=11)) == 1
    made = recording(call)
    assert (made.state, made.size, made.cut_short, "never told" in made.detail) == ("stored", len(SOUND), True, True)


def test_an_egress_that_ends_long_after_its_call_is_waited_for(call: Call, livekit: EgressServer, both_places: GcsServer) -> None:
    start_recording(call.pk)
    stop_recording(call.pk)
    over(call)
    assert reconcile(now=timezone.now() + timedelta(minutes=40)) == 0
    assert recording(call).state == "making"
    put(both_places, call)
    info = livekit.finish("EG_1", size=len(SOUND))
    tell("egress_ended", info)
    tell("egress_ended", info)
    assert recording(call).state == "stored"
    with tenant_scope(call.tenant_id):
        assert OutboxEvent.objects.filter(topic="recording.ready").count() == 1
