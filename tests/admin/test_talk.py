"""Talking to an agent with the browser, from its page."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from agents.models import Agent
from agents.services import start_draft
from calls.admin import steering
from calls.models import Call, Turn
from calls.testing import make_host
from tenants.models import AuditEvent
from tenants.scope import tenant_scope
from tests.admin.conftest import House, add_turns

TALKER = ("view_agent", "talk_call")
POSTED = ("start", "leave")


@pytest.fixture(autouse=True)
def server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LIVEKIT_URL, settings.LIVEKIT_PUBLIC_URL = "ws://127.0.0.1:1", "wss://live.example.com/path"
    settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET = "devkey", "a-secret-of-at-least-32-characters"
    monkeypatch.setattr(steering, "CLIENT", "voiceplatform/room.js")


def url_of(agent: Agent, name: str = "talk") -> str:
    return reverse(f"admin:agents_agent_{name}", args=[agent.pk])


def page_of(client: Client, agent: Agent) -> str:
    return client.get(url_of(agent)).content.decode()


def started(client: Client, house: House, version: Any = None) -> Any:
    return client.post(url_of(house.agent, "talk_start"), {"version": str(version or house.agent.published_version_id)})


def web_calls(house: House) -> list[Call]:
    with tenant_scope(house.tenant):
        return list(Call.objects.filter(kind="web"))


def test_it_needs_a_permission_of_its_own(staff: Callable[..., Client], house: House) -> None:
    denied = staff(house.tenant, "view_agent", "change_agent", "add_call", "place_call", "view_call")
    for name in ("talk", "talk_said"):
        assert denied.get(url_of(house.agent, name)).status_code == 403
    for name in POSTED:
        assert denied.post(url_of(house.agent, f"talk_{name}")).status_code == 403
        assert denied.get(url_of(house.agent, f"talk_{name}")).status_code == 405
    assert web_calls(house) == []


def test_a_call_is_placed_and_this_browser_let_in(staff: Callable[..., Client], house: House) -> None:
    answer = started(staff(house.tenant, *TALKER), house)
    told = answer.json()
    [call] = web_calls(house)
    assert (answer.status_code, told["call"], told["url"]) == (200, str(call.pk), "wss://live.example.com/path")
    assert (call.livemode, call.version_id, call.status) == (False, house.agent.published_version_id, "queued")
    assert "no-store" in answer["Cache-Control"]
    with tenant_scope(house.tenant):
        noted = AuditEvent.objects.get(action="call.placed", target_id=call.pk)
        assert noted.actor_id is not None
        assert told["token"] not in json.dumps(noted.data)


def test_the_draft_can_be_talked_to(root: Client, house: House) -> None:
    with tenant_scope(house.tenant):
        draft = start_draft(agent=house.agent)
    page = page_of(root, house.agent)
    assert page.index(f"Draft {draft.number}") < page.index("Published version 1")
    assert started(root, house, draft.pk).status_code == 200
    assert [call.version_id for call in web_calls(house)] == [draft.pk]


def test_another_agents_version_is_refused(root: Client, house: House, foreign: House) -> None:
    refused = started(root, house, foreign.agent.published_version_id)
    assert (refused.status_code, web_calls(house)) == (400, [])
    assert "version" in refused.json()["problem"]


def test_the_page_talks_to_the_console_and_the_server_alone(root: Client, house: House) -> None:
    answer = root.get(url_of(house.agent))
    page = answer.content.decode()
    policy = dict(part.split(" ", 1) for part in answer["Content-Security-Policy"].split("; "))
    assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
    assert policy["connect-src"] == "'self' wss://live.example.com"
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert not re.search(r" style=| on\w+=", page)
    assert answer["X-Frame-Options"] == "DENY"


def test_what_is_missing_is_said(root: Client, house: House, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "run_voice_worker --livekit" in page_of(root, house.agent)
    make_host(transport="livekit")
    assert "run_voice_worker" not in page_of(root, house.agent)
    monkeypatch.setattr(steering, "CLIENT", "vendor/is-not-here.js")
    page = page_of(root, house.agent)
    assert ("make livekit-client" in page, "<script" in page) == (True, False)
    settings.LIVEKIT_URL = settings.LIVEKIT_PUBLIC_URL = ""
    page = page_of(root, house.agent)
    assert "make livekit-server" in page
    assert "wss:" not in root.get(url_of(house.agent))["Content-Security-Policy"]


def test_a_refusal_is_told_in_words(root: Client, house: House, settings: Any) -> None:
    settings.LIVEKIT_URL = ""
    refused = started(root, house)
    assert (refused.status_code, web_calls(house)) == (409, [])
    assert "LIVEKIT_URL" in refused.json()["problem"]


def test_what_is_said_comes_with_its_response_gaps(root: Client, house: House) -> None:
    started(root, house)
    [call] = web_calls(house)
    with tenant_scope(house.tenant):
        add_turns(call, count=2)
        Turn.objects.filter(call=call, sequence=0).update(text="<b>Hello</b>")
    told = root.get(url_of(house.agent, "talk_said"), {"call": call.pk}).json()
    assert [(turn["speaker"], turn["gap_ms"]) for turn in told["turns"]] == [("agent", 600), ("caller", None)]
    assert (told["status"], told["ended"]) == ("queued", "")
    root.post(url_of(house.agent, "talk_leave"), {"call": call.pk})
    told = root.get(url_of(house.agent, "talk_said"), {"call": call.pk}).json()
    assert told["status"] == "ended"
    assert "Hung up in the browser" in told["ended"]
    assert root.post(url_of(house.agent, "talk_leave"), {"call": call.pk}).status_code == 200


def test_only_calls_from_this_page_are_shown(root: Client, house: House, foreign: House) -> None:
    started(root, foreign)
    for call in (house.call, *web_calls(foreign)):
        for name in ("talk_said", "talk_leave"):
            send = root.get if name == "talk_said" else root.post
            assert send(url_of(house.agent, name), {"call": str(call.pk)}).status_code == 404


def test_the_agents_page_leads_there(root: Client, house: House) -> None:
    assert url_of(house.agent) in root.get(reverse("admin:agents_agent_change", args=[house.agent.pk])).content.decode()
