"""Letting the staff into calls: for whom a token is made, what it allows, and that it admits one person once."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from calls.clock import database_now
from calls.errors import CallEndedError, NoLiveKitError, NotAnsweredError, SupervisionRefusedError
from calls.models import Call, CallEvent, ProviderEvent, Supervision
from calls.services import end_call, finalize_call
from calls.services.journal import apply_entries
from calls.services.supervision import HOLDS, Admission, Mode, admit, may_be_supervised
from calls.telephony import events
from calls.testing import JOB
from tenants.models import AuditEvent, User
from tenants.services.features import set_feature

Make = Callable[..., Call]


@pytest.fixture
def livekit(settings: Any) -> None:
    settings.LIVEKIT_URL = settings.LIVEKIT_PUBLIC_URL = "ws://127.0.0.1:1"
    settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET = "devkey", "a-secret-of-at-least-32-characters"


@pytest.fixture
def call(make_call: Make, livekit: None) -> Call:
    made = make_call(status="in_progress")
    Call.objects.update(kind="inbound", transport="livekit", room="in_1_abc", persona="")
    made.refresh_from_db()
    return made


@pytest.fixture
def staff(make_user: Callable[..., User]) -> User:
    return make_user(is_staff=True)


def claims(admission: Admission) -> dict[str, Any]:
    body = admission.token.split(".")[1]
    told: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return told


def test_a_listener_hears_one_room_unseen_and_for_a_moment(call: Call, staff: User) -> None:
    admission = admit(call, mode=Mode.LISTEN, actor=staff, reason="Training")
    told, row = claims(admission), Supervision.objects.get()
    assert told["sub"] == f"supervisor-{row.pk}"
    assert told["exp"] - told["nbf"] <= 60
    video = told["video"]
    assert (video["roomJoin"], video["room"], video["hidden"], video["canPublish"]) == (True, "in_1_abc", True, False)
    assert (video["canSubscribe"], video["canPublishData"], video["canUpdateOwnMetadata"]) == (True, False, False)
    assert not [name for name, value in video.items() if name.startswith("room") and name not in ("room", "roomJoin") and value]
    assert (row.actor, row.reason, row.expires_at - row.created_at) == (staff, "Training", HOLDS)
    assert AuditEvent.objects.get(action="call.listen_allowed").reason == "Training"
    assert admission.token not in repr(admission)


def test_who_takes_over_is_heard_and_nothing_else(call: Call, staff: User) -> None:
    video = claims(admit(call, mode=Mode.TAKE_OVER, actor=staff, reason="Complaint"))["video"]
    assert (video.get("hidden", False), video["canPublish"], video["canPublishSources"]) == (False, True, ["microphone"])
    assert video["canPublishData"] is False


def test_a_tenant_that_allows_no_listening_has_none(call: Call, staff: User) -> None:
    assert may_be_supervised(call)
    set_feature(key="call-listening", enabled=False, config={})
    assert not may_be_supervised(call)
    for mode in Mode:
        with pytest.raises(SupervisionRefusedError):
            admit(call, mode=mode, actor=staff, reason="x")
    assert not Supervision.objects.exists()


def test_a_call_without_a_room_or_an_end_in_sight_has_no_listeners(
    make_call: Make, call: Call, staff: User, settings: Any
) -> None:
    with pytest.raises(SupervisionRefusedError):
        admit(make_call(status="in_progress"), mode=Mode.LISTEN, actor=staff, reason="x")
    Call.objects.filter(pk=call.pk).update(status="handed_over")
    admit(call, mode=Mode.LISTEN, actor=staff, reason="x")
    with pytest.raises(SupervisionRefusedError):
        admit(call, mode=Mode.TAKE_OVER, actor=staff, reason="x")
    settings.LIVEKIT_URL = ""
    with pytest.raises(NoLiveKitError):
        admit(call, mode=Mode.LISTEN, actor=staff, reason="x")
    end_call(call_id=call.pk, disposition="completed", ended_reason="caller_hung_up")
    with pytest.raises(CallEndedError):
        admit(call, mode=Mode.LISTEN, actor=staff, reason="x")
    Call.objects.filter(pk=call.pk).update(status="ringing", disposition="", ended_reason="", ended_at=None)
    with pytest.raises(NotAnsweredError):
        admit(call, mode=Mode.LISTEN, actor=staff, reason="x")


def seen(sid: str, **what: Any) -> dict[str, Any]:
    row = Supervision.objects.latest("created_at")
    at = {name: database_now().isoformat() for name in what}
    return {"op": "supervisor", "supervision_id": str(row.pk), "participant_sid": sid, **at}


def test_one_at_a_time_takes_over(call: Call, staff: User, make_user: Callable[..., User]) -> None:
    admit(call, mode=Mode.TAKE_OVER, actor=staff, reason="x")
    other = make_user(is_staff=True)
    with pytest.raises(SupervisionRefusedError, match=str(staff)):
        admit(call, mode=Mode.TAKE_OVER, actor=other, reason="x")
    apply_entries(call_id=call.pk, job_id=JOB, entries=[seen("PA_1", joined_at=1)])
    Supervision.objects.update(created_at=database_now() - 2 * HOLDS, expires_at=database_now() - HOLDS)
    with pytest.raises(SupervisionRefusedError):
        admit(call, mode=Mode.TAKE_OVER, actor=other, reason="x")
    apply_entries(call_id=call.pk, job_id=JOB, entries=[seen("PA_1", left_at=1), seen("PA_1", left_at=1)])
    admit(call, mode=Mode.TAKE_OVER, actor=other, reason="x")
    Supervision.objects.update(created_at=database_now() - 2 * HOLDS, expires_at=database_now() - timedelta(seconds=1))
    admit(call, mode=Mode.TAKE_OVER, actor=staff, reason="who never came in is not waited for")
    kinds = list(CallEvent.objects.filter(kind__startswith="supervisor").values_list("kind", flat=True))
    assert kinds == ["supervisor_joined", "supervisor_left"]


def test_whoever_is_still_there_has_left_when_the_call_is_over(call: Call, staff: User) -> None:
    admit(call, mode=Mode.TAKE_OVER, actor=staff, reason="x")
    apply_entries(call_id=call.pk, job_id=JOB, entries=[seen("PA_1", joined_at=1)])
    end_call(call_id=call.pk, disposition="completed", ended_reason="caller_hung_up")
    finalize_call(call_id=call.pk)
    assert Supervision.objects.get().left_at is not None


def told_by_server(kind: str, sid: str) -> ProviderEvent:
    row, now = Supervision.objects.get(), database_now()
    body = {"participant": {"identity": f"supervisor-{row.pk}", "sid": sid, "kind": "STANDARD"}}
    facts = {"provider": "livekit", "event_id": f"{kind}-{sid}", "kind": kind, "room": row.call.room, "body": body}
    return ProviderEvent.objects.create(at=now, received_at=now, **facts)


def test_a_hidden_listener_is_noted_and_a_second_one_with_the_same_token_sent_away(
    call: Call, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit(call, mode=Mode.LISTEN, actor=staff, reason="x")
    told_by_server("participant_joined", "PA_1")
    assert events.handle_events() == 1
    row = Supervision.objects.get()
    assert (row.participant_sid, row.joined_at is None, row.left_at) == ("PA_1", False, None)
    told_by_server("participant_left", "PA_1")
    told_by_server("participant_joined", "PA_2")
    events.handle_events()
    row.refresh_from_db()
    assert (row.participant_sid, row.left_at is None) == ("PA_1", False)
    assert AuditEvent.objects.filter(action="call.supervisor_sent_away").count() == 1
