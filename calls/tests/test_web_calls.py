"""Web calls without a server: how they are placed, who is let in, what begins them, and what ends those nobody joins."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.test import Client
from google.protobuf.json_format import MessageToJson
from jwt import ExpiredSignatureError
from livekit import api

from agents.testing import make_agent
from calls import lifecycle
from calls.clock import database_now
from calls.errors import CallBegunError, CallEndedError, CallLimitError, NotForThisKindError, WebCallsNotConfiguredError
from calls.models import Call, CallEvent, ProviderEvent
from calls.services import dispatching, sweeps, web_calls
from calls.services.web_calls import HOLDS, JOINED_WITHIN, let_in, place_web
from calls.telephony import events
from calls.telephony.names import BROWSER, WEB_PREFIX, is_room_of_ours
from calls.testing import make_call, make_host
from tenants import lifecycle as tenant_lifecycle
from tenants.errors import TenantNotActiveError
from tenants.models import AuditEvent, Tenant, TenantLimits, User
from tenants.scope import tenant_scope

KEY, SECRET = "devkey", "a-secret-of-at-least-32-characters"


@pytest.fixture(autouse=True)
def server(settings: Any) -> None:
    """Named, and not there: whoever asks it for a worker is refused."""
    settings.LIVEKIT_URL, settings.LIVEKIT_PUBLIC_URL = "ws://127.0.0.1:1", "wss://live.example.com"
    settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET = KEY, SECRET


@pytest.fixture
def asked(settings: Any) -> Iterator[list[str]]:
    """A server that notes for which rooms it is asked for a worker."""
    rooms: list[str] = []

    class Dispatcher(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path.endswith("AgentDispatchService/CreateDispatch")
            wanted = api.CreateAgentDispatchRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            rooms.append(wanted.room)
            body = api.AgentDispatch(id="AD_1", room=wanted.room).SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/protobuf")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Tests read what was asked, not a log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Dispatcher) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        settings.LIVEKIT_URL = f"ws://127.0.0.1:{running.server_port}"
        yield rooms
        running.shutdown()


def place(**fields: Any) -> Call:
    return place_web(agent=fields.pop("agent", None) or make_agent(), kind="web", **fields)


def claims(token: str) -> dict[str, Any]:
    verified = api.TokenVerifier(KEY, SECRET).verify(token)
    return {"identity": verified.identity, "grants": verified.video}


def joined(room: str, identity: str = BROWSER, number: int = 1) -> None:
    """The server's message that somebody is in a room."""
    event = api.WebhookEvent(
        id=f"EV_{number}",
        event="participant_joined",
        room=api.Room(name=room),
        participant=api.ParticipantInfo(identity=identity, sid=f"PA_{number}"),
        created_at=int(database_now().timestamp()),
    )
    body = MessageToJson(event)
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    headers = {"Authorization": api.AccessToken(KEY, SECRET).with_sha256(digest).to_jwt()}
    assert Client().post("/hooks/livekit", body, content_type="application/webhook+json", headers=headers).status_code == 200


def test_a_call_waits_for_its_browser(scope: Tenant) -> None:
    call = place()
    call.refresh_from_db()
    assert (call.status, call.transport, call.phone, call.livemode) == ("queued", "livekit", "", True)
    assert call.room == f"{WEB_PREFIX}{call.pk.hex}"
    assert is_room_of_ours(call.room)
    assert call.not_after is not None
    assert abs(call.not_after - call.created_at - JOINED_WITHIN) < timedelta(seconds=5)


def test_an_entry_is_one_identity_in_one_room_for_a_minute(scope: Tenant) -> None:
    call = place()
    entry = let_in(call)
    assert entry.url == "wss://live.example.com"
    payload = json.loads(base64.urlsafe_b64decode(entry.token.split(".")[1] + "=="))
    assert payload["exp"] - database_now().timestamp() <= HOLDS.total_seconds() <= 60
    found = claims(entry.token)
    assert (found["identity"], found["grants"].room, found["grants"].room_join) == (BROWSER, call.room, True)
    assert found["grants"].can_publish_sources == ["microphone"]
    assert not any((found["grants"].can_publish_data, found["grants"].room_admin, found["grants"].room_create))
    assert entry.token not in repr(entry)


def test_a_second_entry_is_as_good_as_the_first_and_to_the_same_room(scope: Tenant) -> None:
    call, other = place(), place()
    first, second, elsewhere = (claims(let_in(each).token)["grants"].room for each in (call, call, other))
    assert (first, second, elsewhere) == (call.room, call.room, other.room)
    assert call.room != other.room


def test_an_entry_ends_when_it_says(scope: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = let_in(place())
    payload = json.loads(base64.urlsafe_b64decode(entry.token.split(".")[1] + "=="))
    assert abs(payload["exp"] - entry.expires_at.timestamp()) < 3
    monkeypatch.setattr(web_calls, "HOLDS", -timedelta(seconds=61))
    with pytest.raises(ExpiredSignatureError):
        claims(let_in(place()).token)


def test_staff_who_call_are_audited(scope: Tenant, make_user: Callable[..., User]) -> None:
    staff = make_user()
    call = place(actor=staff)
    place()
    event = AuditEvent.objects.get(action="call.placed")
    assert (event.actor_id, event.target_id) == (staff.pk, call.pk)


def test_nobody_is_let_into_a_call_that_has_begun_or_ended(scope: Tenant) -> None:
    begun, ended = make_call(kind="web", status="in_progress"), make_call(kind="web", status="ended")
    for call, error in ((begun, CallBegunError), (ended, CallEndedError), (make_call(), NotForThisKindError)):
        with pytest.raises(error):
            let_in(call)


def test_without_a_server_nothing_is_placed(scope: Tenant, settings: Any) -> None:
    call = place()
    settings.LIVEKIT_URL = ""
    with pytest.raises(WebCallsNotConfiguredError):
        place()
    with pytest.raises(WebCallsNotConfiguredError):
        let_in(call)
    assert Call.objects.get() == call


def test_limits_hold_and_gates_do_not(scope: Tenant) -> None:
    """Nobody is rung: neither a country nor an hour has to be allowed."""
    TenantLimits.objects.update(allowed_countries=[], max_open_calls=1)
    place()
    with pytest.raises(CallLimitError):
        place()


def test_a_suspended_tenant_places_none_and_begins_none(scope: Tenant, asked: list[str]) -> None:
    call = place()
    tenant_lifecycle.advance(tenant=scope, to=Tenant.Status.SUSPENDED)
    with pytest.raises(TenantNotActiveError):
        place()
    assert dispatching.dispatch_joined([call.room]) == 0
    call.refresh_from_db()
    assert (call.status, call.disposition, call.ended_reason, asked) == ("ended", "blocked", "suspended", [])


def test_a_browser_that_joins_begins_its_call_once(
    scope: Tenant, asked: list[str], sent_messages: Any, django_capture_on_commit_callbacks: Any
) -> None:
    call = place()
    with django_capture_on_commit_callbacks(execute=True):
        joined(call.room)
    assert [sent["task"] for sent in sent_messages()].count("calls.tasks.handle_provider_events") == 1
    assert (events.handle_events(), events.handle_events(), asked) == (1, 0, [call.room])
    joined(call.room, number=2)
    assert dispatching.dispatch_joined([call.room]) == 0
    assert (events.handle_events(), asked) == (1, [call.room])
    call.refresh_from_db()
    assert call.status == "dispatched"
    assert ProviderEvent.objects.filter(call_id=call.pk).count() == 2


@pytest.mark.parametrize("identity", ["agent-1", "supervisor-x", "caller2"])
def test_nobody_else_begins_it(scope: Tenant, asked: list[str], identity: str) -> None:
    call = place()
    joined(call.room, identity)
    assert (events.handle_events(), asked) == (1, [])


def test_a_browser_in_another_kind_of_room_begins_nothing(scope: Tenant, asked: list[str]) -> None:
    call = make_call()
    Call.objects.filter(pk=call.pk).update(room="out-1")
    joined("out-1")
    assert (events.handle_events(), asked) == (1, [])


def test_a_lost_message_loses_no_call(asked: list[str], make_tenant: Any) -> None:
    """The rooms that the server has are enough, whoever's they are."""
    with tenant_scope(make_tenant()):
        other = place()
    with tenant_scope(make_tenant()):
        call, absent = place(), place()
    assert dispatching.dispatch_joined([call.room, other.room, "in_x"]) == 2
    assert asked == [other.room, call.room]
    with tenant_scope(absent.tenant_id):
        assert Call.objects.get(pk=absent.pk).status == "queued"


def test_a_call_waits_while_all_places_are_taken(scope: Tenant, asked: list[str]) -> None:
    call, host = place(), make_host(transport="livekit", slots=1)
    make_call(kind="web", status="in_progress", host=host)
    assert (dispatching.dispatch_joined([call.room]), asked) == (0, [])
    host.slots = 2
    host.save()
    assert (dispatching.dispatch_joined([call.room]), asked) == (1, [call.room])


def test_a_server_that_does_not_answer_leaves_the_call_waiting(scope: Tenant) -> None:
    call = place()
    assert dispatching.dispatch_joined([call.room]) == 0
    call.refresh_from_db()
    assert (call.status, call.dispatched_at) == ("queued", None)
    assert CallEvent.objects.filter(call=call, kind="not_dispatched").exists()


def test_the_server_is_asked_again_when_no_worker_came(scope: Tenant, asked: list[str]) -> None:
    call = place()
    dispatching.dispatch_joined([call.room])
    later = database_now() + dispatching.AGAIN_AFTER
    assert (dispatching.dispatch_again(now=later), dispatching.dispatch_again(now=later), asked) == (1, 0, [call.room] * 2)


def test_a_call_that_nobody_joins_is_canceled_in_time(scope: Tenant, asked: list[str]) -> None:
    call, begun = place(), place()
    dispatching.dispatch_joined([begun.room])
    assert sweeps.cancel_expired(now=call.created_at + JOINED_WITHIN - timedelta(seconds=1)) == 0
    assert sweeps.cancel_expired(now=begun.created_at + JOINED_WITHIN + timedelta(seconds=1)) == 1
    call.refresh_from_db()
    assert (call.status, call.disposition, call.ended_reason) == ("ended", "canceled", "never_joined")


def test_a_call_that_somebody_joined_in_vain_expires(scope: Tenant, asked: list[str]) -> None:
    call = place()
    dispatching.dispatch_joined([call.room])
    lifecycle.advance(call_id=call.pk, to=Call.Status.QUEUED, at=database_now())
    assert sweeps.cancel_expired(now=call.created_at + JOINED_WITHIN + timedelta(seconds=1)) == 1
    call.refresh_from_db()
    assert call.ended_reason == "expired"
