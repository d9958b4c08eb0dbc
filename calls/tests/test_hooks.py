"""Messages of the LiveKit server: checked, kept once, and what they bring about in any order."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from django.test import Client
from google.protobuf.json_format import MessageToJson
from livekit import api

from calls.clock import database_now
from calls.models import Call, CallEvent, Leg, ProviderEvent
from calls.services import end_call
from calls.services.hosts import retire_host
from calls.telephony import events
from calls.testing import make_call
from tenants.models import Tenant

KEY, SECRET = "APIours", "s" * 40
ROOM = "in_+12025550001_x"


@pytest.fixture(autouse=True)
def ours(settings: Any, db: None) -> None:
    settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET = KEY, SECRET


def message(kind: str = "participant_left", *, at: datetime | None = None, **fields: Any) -> api.WebhookEvent:
    room = api.Room(name=ROOM, sid="RM_1", turn_password="hidden")
    person = api.ParticipantInfo(
        identity="sip_+12025550001", kind=api.ParticipantInfo.Kind.SIP, disconnect_reason=api.DisconnectReason.CLIENT_INITIATED
    )
    given = {"id": "EV_1", "event": kind, "room": room, "created_at": int((at or database_now()).timestamp())}
    return api.WebhookEvent(**{**given, **({"participant": person} if kind.startswith("participant") else {}), **fields})


def send(event: api.WebhookEvent | str, *, secret: str = SECRET, claimed: str = "") -> Any:
    body = event if isinstance(event, str) else MessageToJson(event)
    digest = base64.b64encode(hashlib.sha256((claimed or body).encode()).digest()).decode()
    token = api.AccessToken(KEY, secret).with_sha256(digest).to_jwt()
    headers = {"Authorization": token}
    return Client().post("/hooks/livekit", body, content_type="application/webhook+json", headers=headers)


def kept() -> list[str]:
    return sorted(ProviderEvent.objects.values_list("event_id", flat=True))


def test_a_message_is_kept_once_and_without_secrets(
    sent_messages: Callable[[], list[dict[str, Any]]], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert (send(message()).status_code, send(message()).status_code, kept()) == (200, 200, ["EV_1"])
    assert sent_messages()[0]["task"] == "calls.tasks.handle_provider_events"
    row = ProviderEvent.objects.get()
    assert (row.kind, row.room, row.handled_at) == ("participant_left", ROOM, None)
    assert row.body["participant"]["disconnect_reason"] == "CLIENT_INITIATED"
    assert "hidden" not in json.dumps(row.body)


@pytest.mark.parametrize("how", [{"secret": "t" * 40}, {"claimed": "another body"}])
def test_a_forged_message_is_refused(how: dict[str, str]) -> None:
    assert (send(message(), **how).status_code, kept()) == (401, [])


def test_nothing_is_right_without_a_signature_or_a_key(settings: Any) -> None:
    assert Client().post("/hooks/livekit", "{}", content_type="application/webhook+json").status_code == 401
    settings.LIVEKIT_API_SECRET = ""
    assert (send(message()).status_code, kept()) == (401, [])
    assert Client().get("/hooks/livekit").status_code == 405


@pytest.mark.parametrize(("off", "status"), [(-11, 400), (-9, 200), (4, 200), (6, 400)])
def test_messages_far_from_now_are_refused(off: int, status: int) -> None:
    assert send(message(at=database_now() + timedelta(minutes=off))).status_code == status
    assert len(kept()) == (status == 200)


@pytest.mark.parametrize("event", [message, lambda: message(id=""), lambda: message(kind="")], ids=["good", "no id", "no kind"])
def test_a_message_says_what_it_is(event: Callable[[], api.WebhookEvent]) -> None:
    assert send(event()).status_code == (200 if event is message else 400)


def in_room(status: str = "in_progress") -> tuple[Call, Leg]:
    call = make_call(kind="web", status=status)
    Call.objects.filter(pk=call.pk).update(room=ROOM)
    leg = Leg.objects.create(
        call=call, role="caller", identity="sip_+12025550001", started_at=database_now() - timedelta(minutes=1)
    )
    call.refresh_from_db()
    return call, leg


def ended_leg() -> tuple[bool, str]:
    leg = Leg.objects.get()
    return leg.ended_at is not None, leg.end_reason


def test_a_leg_is_the_jobs_while_the_job_lives(scope: Tenant) -> None:
    call, _ = in_room()
    send(message())
    assert (events.handle_events(), ended_leg()) == (0, (False, ""))
    assert call.host_id
    retire_host(host_id=call.host_id)
    assert (events.handle_events(), ended_leg()) == (1, (True, "client_initiated"))
    call.refresh_from_db()
    assert call.status == "in_progress", "a message ends no call"
    assert ProviderEvent.objects.get().call_id == call.pk


def test_the_end_a_job_has_noted_stays(scope: Tenant) -> None:
    call, leg = in_room()
    Leg.objects.filter(pk=leg.pk).update(ended_at=database_now(), end_reason="hung_up")
    send(message())
    end_call(call_id=call.pk, disposition="completed", ended_reason="caller_hung_up")
    assert (events.handle_events(), ended_leg()) == (1, (True, "hung_up"))


def test_an_agent_that_leaves_ends_no_leg(scope: Tenant) -> None:
    in_room("ended")
    agent = api.ParticipantInfo(identity="sip_+12025550001", kind=api.ParticipantInfo.Kind.AGENT)
    send(message(participant=agent))
    assert (events.handle_events(), ended_leg()) == (1, (False, ""))


@pytest.mark.parametrize(("status", "asked"), [("handed_over", True), ("in_progress", False)])
def test_who_leaves_a_pair_has_the_rooms_looked_at(
    scope: Tenant, sent_messages: Any, django_capture_on_commit_callbacks: Any, status: str, asked: bool
) -> None:
    call, _ = in_room()
    Call.objects.filter(pk=call.pk).update(status=status, kind="inbound")
    with django_capture_on_commit_callbacks(execute=True):
        send(message("room_finished"))
        events.handle_events()
    tasks = {sent["task"] for sent in sent_messages()}
    assert ("calls.tasks.reconcile_rooms" in tasks) is asked
    call.refresh_from_db()
    assert call.status == status, "a message ends no call"


@pytest.mark.parametrize("order", permutations(["participant_left", "room_finished", "track_published"]))
def test_any_order_and_repetitions_lead_to_the_same(scope: Tenant, order: tuple[str, ...]) -> None:
    call, leg = in_room("ended")
    at = database_now()
    for kind in (*order, *order):
        send(message(kind, id=f"EV_{kind}", at=at))
        events.handle_events()
    leg.refresh_from_db()
    assert leg.ended_at
    assert (int(leg.ended_at.timestamp()), leg.end_reason) == (int(at.timestamp()), "client_initiated")
    assert CallEvent.objects.filter(call=call, kind="room_finished").count() == 1
    assert not ProviderEvent.objects.filter(handled_at=None).exists()


def test_a_message_that_comes_before_its_call_waits(scope: Tenant) -> None:
    send(message())
    assert events.handle_events() == 0
    in_room("ended")
    assert (events.handle_events(), ended_leg()) == (1, (True, "client_initiated"))


def test_a_message_about_no_call_is_done_with_after_a_minute() -> None:
    send(message())
    assert events.handle_events(now=database_now() + timedelta(seconds=61)) == 1
    assert ProviderEvent.objects.get().call_id is None


def test_handled_messages_are_forgotten_after_thirty_days() -> None:
    for number, (days, handled) in enumerate([(31, True), (31, False), (29, True)]):
        send(message(id=f"EV_{number}"))
        at = database_now() - timedelta(days=days)
        ProviderEvent.objects.filter(event_id=f"EV_{number}").update(received_at=at, handled_at=at if handled else None)
    assert events.forget_old_events() == 1
    assert kept() == ["EV_1", "EV_2"]
