"""Steering a running call from its page."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from calls.admin import steering
from calls.models import Call, CallCommand, CallEvent, Supervision
from tenants.models import AuditEvent
from tenants.scope import tenant_scope
from tenants.services.features import set_feature
from tests.admin.conftest import House
from tests.admin.test_call_page import page_of

RUNNING = {"status": "in_progress", "finalized": False}
PERMISSIONS = ["say_call", "instruct_call", "mute_call", "listen_call", "take_over_call"]


@pytest.fixture
def talking(make_house: Callable[..., House], settings: Any) -> House:
    """A tenant with a phone call that runs on a LiveKit server."""
    settings.LIVEKIT_URL, settings.LIVEKIT_PUBLIC_URL = "ws://127.0.0.1:1", "wss://live.example.com/path"
    settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET = "devkey", "a-secret-of-at-least-32-characters"
    house = make_house(**RUNNING)
    with tenant_scope(house.tenant):
        Call.objects.filter(pk=house.call.pk).update(kind="inbound", transport="livekit", room="in_1_x", persona="")
    return house


def url_of(house: House, name: str) -> str:
    return reverse("admin:calls_call_steer", args=[house.call.pk, name])


def test_each_button_needs_its_own_permission(staff: Callable[..., Client], talking: House) -> None:
    every = {button.name: button.permission.removeprefix("calls.") for button in steering.BUTTONS.values()}
    assert sorted(set(every.values())) == sorted(PERMISSIONS)
    for name, permission in every.items():
        others = [other for other in PERMISSIONS if other != permission]
        denied = staff(talking.tenant, "view_call", *others)
        assert denied.post(url_of(talking, name), {"reason": "because", "text": "x"}).status_code == 403
        assert url_of(talking, name) not in page_of(denied, talking)
        assert url_of(talking, name) in page_of(staff(talking.tenant, "view_call", permission), talking)
    with tenant_scope(talking.tenant):
        assert not CallCommand.objects.exists()
        assert not Supervision.objects.exists()


@pytest.mark.parametrize(
    ("name", "kind"), [("say", "say"), ("whisper", "instruct"), ("mute", "mute_agent"), ("unmute", "unmute_agent")]
)
def test_the_agent_is_told_with_a_reason(root: Client, talking: House, name: str, kind: str) -> None:
    assert root.get(url_of(talking, name)).status_code == 405
    root.post(url_of(talking, name), {"reason": " ", "text": "Hello."})
    with tenant_scope(talking.tenant):
        assert not CallCommand.objects.exists()
    root.post(url_of(talking, name), {"reason": "Training", "text": "Hello." if name in ("say", "whisper") else ""})
    with tenant_scope(talking.tenant):
        command = CallCommand.objects.get()
        assert (command.kind, command.reason, command.actor is None) == (kind, "Training", False)
        assert AuditEvent.objects.get(action=f"call.{kind}_requested").reason == "Training"
    assert "waiting</span>" in page_of(root, talking, "live")


def test_why_something_cannot_be_is_told(root: Client, talking: House) -> None:
    answer = root.post(url_of(talking, "say"), {"reason": "Training", "text": " "}, follow=True)
    assert "Say what." in answer.content.decode()
    assert root.post(url_of(talking, "dance"), {"reason": "x"}).status_code == 403


def test_an_ended_call_has_no_buttons(root: Client, house: House) -> None:
    assert "Steer the call" not in page_of(root, house)
    answer = root.post(url_of(house, "say"), {"reason": "x", "text": "Hello."}, follow=True)
    assert "has ended already" in answer.content.decode()


@pytest.mark.parametrize("name", ["listen", "take_over"])
def test_who_comes_in_gets_a_page_that_talks_to_the_server_alone(
    root: Client, talking: House, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "client_url", lambda: "/static/vendor/livekit-client.umd.js")
    answer = root.post(url_of(talking, name), {"reason": "Training"})
    page = answer.content.decode()
    with tenant_scope(talking.tenant):
        assert Supervision.objects.get().mode == name
    policy = dict(part.split(" ", 1) for part in answer["Content-Security-Policy"].split("; "))
    assert (policy["default-src"], policy["connect-src"], policy["script-src"]) == ("'none'", "wss://live.example.com", "'self'")
    assert "no-store" in answer["Cache-Control"]
    assert answer["X-Frame-Options"] == "DENY"
    assert page.count("<script") == 4
    assert re.findall(r"<script(?![^>]*(?: src=|application/json))", page) == []
    assert 'style="' not in page
    assert "onclick" not in page


def test_without_the_browsers_program_the_page_says_what_to_do(
    root: Client, talking: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "CLIENT", "vendor/is-not-here.js")
    page = root.post(url_of(talking, "listen"), {"reason": "Training"}).content.decode()
    assert "make livekit-client" in page
    assert "<script" not in page


def test_a_tenant_can_switch_listening_off(root: Client, talking: House) -> None:
    assert url_of(talking, "listen") in page_of(root, talking)
    with tenant_scope(talking.tenant):
        set_feature(key="call-listening", enabled=False, config={})
    page = page_of(root, talking)
    assert url_of(talking, "listen") not in page
    assert url_of(talking, "take_over") not in page
    assert url_of(talking, "say") in page
    answer = root.post(url_of(talking, "listen"), {"reason": "Training"}, follow=True)
    assert "does not allow its calls to be listened to" in answer.content.decode()
    with tenant_scope(talking.tenant):
        assert not Supervision.objects.exists()


def test_a_simulated_call_is_steered_and_not_listened_to(root: Client, make_house: Callable[..., House]) -> None:
    page = page_of(root, house := make_house(**RUNNING))
    assert (url_of(house, "mute") in page, url_of(house, "listen") in page) == (True, False)


def test_another_tenants_call_is_not_steered(staff: Callable[..., Client], talking: House, foreign: House) -> None:
    client = staff(foreign.tenant, "view_call", *PERMISSIONS)
    for name in steering.BUTTONS:
        assert client.post(url_of(talking, name), {"reason": "x", "text": "x"}).status_code == 404


def test_the_page_loads_nothing_from_elsewhere() -> None:
    static = Path(__file__).resolve().parents[2] / "voiceplatform" / "static" / "voiceplatform"
    for name in ("room.js", "playing.js", "talk.js", "room.css"):
        assert "://" not in (static / name).read_text()


def test_what_was_done_from_outside_is_told_in_words(root: Client, house: House) -> None:
    happened = [
        ("action_done", {"action": "say", "action_id": "cmd_1", "interrupted": True}),
        ("action_failed", {"action": "transfer", "action_id": "cmd_2", "reason": "no_answer"}),
        ("supervisor_joined", {"mode": "take_over"}),
        ("supervisor_left", {"mode": "listen"}),
    ]
    with tenant_scope(house.tenant):
        for kind, data in happened:
            CallEvent.objects.create(call=house.call, kind=kind, at=house.call.created_at, data=data)
    page = page_of(root, house)
    for told in (
        "Asked from outside and done: say. The caller broke it off.",
        "Asked from outside and not done: transfer, because of no answer.",
        "Somebody of the staff took over the call.",
        "Whoever of the staff listened in left the call.",
    ):
        assert told in page
