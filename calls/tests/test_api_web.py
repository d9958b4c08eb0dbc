"""Web calls over the API: the token is told once and kept nowhere."""

import pytest
from django.core import serializers

from agents.services import start_draft
from calls.models import Call, CallEvent
from tenants.models import AuditEvent, IdempotencyRecord, OutboxEvent
from tenants.roles import SCOPES


@pytest.fixture(autouse=True)
def _server(settings):
    settings.LIVEKIT_URL, settings.LIVEKIT_PUBLIC_URL = "ws://127.0.0.1:1", "wss://live.example.com"
    settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET = "devkey", "a-secret-of-at-least-32-characters"


def web(agent, **fields):
    return {"agent_id": agent.public_id, "kind": "web", **fields}


def test_a_web_call_comes_with_a_way_in(api, agent):
    answer = api.post("calls", web(agent, metadata={"order": "7"}))
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["status"], told["kind"], told["livemode"], told["phone"]) == ("queued", "web", False, None)
    assert set(told["web"]) == {"url", "token", "expires_at"}
    assert told["web"]["url"] == "wss://live.example.com"
    assert told["not_after"]
    shown = api.get(f"calls/{told['id']}").json()
    assert shown == {name: value for name, value in told.items() if name != "web"}


def test_other_kinds_have_none(api, agent):
    assert api.post("calls", {"agent_id": agent.public_id, "kind": "simulated"}).json().get("web") is None


def test_a_repeated_request_has_one_effect_and_no_token(api, agent, within):
    options = {"headers": {"Idempotency-Key": "once"}}
    first, again = api.post("calls", web(agent), **options), api.post("calls", web(agent), **options)
    assert (first.status_code, again.status_code, again["Idempotent-Replayed"]) == (201, 201, "true")
    assert again.json() == {name: value for name, value in first.json().items() if name != "web"}
    assert within(Call.objects.count) == 1
    fresh = api.post(f"calls/{first.json()['id']}/token")
    assert fresh.status_code == 200
    tokens = [first.json()["web"]["token"], fresh.json()["token"]]
    for model in (Call, CallEvent, IdempotencyRecord, AuditEvent, OutboxEvent):
        kept = within(lambda model=model: serializers.serialize("json", model.objects.all()))
        assert not any(token in kept for token in tokens), model.__name__


def test_the_token_has_a_scope_of_its_own(make_api, tenant, agent, api):
    made = api.post("calls", web(agent)).json()["id"]
    others = make_api(tenant, scopes=[scope for scope in SCOPES if scope != "calls:join"])
    assert others.post(f"calls/{made}/token").status_code == 403
    assert make_api(tenant, scopes=["calls:join"]).post(f"calls/{made}/token").status_code == 200


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"kind": "web", "status": "in_progress"}, "call_begun"),
        ({"kind": "web", "status": "ended"}, "call_ended"),
        ({"kind": "simulated"}, "not_supported_for_kind"),
    ],
)
def test_there_is_no_token_once_it_is_too_late(api, placed, fields, code):
    refused = api.post(f"calls/{placed(**fields).public_id}/token")
    assert (refused.status_code, refused.json()["code"]) == (409, code)


def test_what_does_not_fit_is_named(api, agent):
    odd = {"to": "+15125550143", "persona": "hours_and_message", "not_before": "2030-01-01T00:00:00Z", "override_gates": "x"}
    refused = api.post("calls", web(agent, **odd))
    assert refused.status_code == 400
    assert {error["param"] for error in refused.json()["errors"]} == set(odd)


def test_without_a_server_it_says_so(api, agent, settings, within):
    settings.LIVEKIT_URL = ""
    refused = api.post("calls", web(agent))
    assert (refused.status_code, refused.json()["code"]) == (409, "web_calls_not_configured")
    assert not within(Call.objects.exists)


def test_live_keys_make_live_calls_and_drafts_none(make_api, tenant, agent, within):
    live = make_api(tenant, livemode=True)
    assert live.post("calls", web(agent)).json()["livemode"] is True
    draft = within(start_draft, agent=agent)
    assert live.post("calls", web(agent, version=draft.number)).json()["livemode"] is False


def test_a_token_may_be_asked_for_again(api, agent):
    made = api.post("calls", web(agent)).json()
    answers = [api.post(f"calls/{made['id']}/token") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.json()["url"] for answer in answers} == {"wss://live.example.com"}


def test_nobody_has_a_token_to_a_call_that_is_not_theirs(api, stranger, agent):
    made = api.post("calls", web(agent)).json()["id"]
    refused = stranger.post(f"calls/{made}/token")
    assert (refused.status_code, "token" in refused.json()) == (404, False)
    assert stranger.post("calls/call_nonsense/token").status_code == 404


def test_a_refused_token_says_what_to_do(api, placed):
    for fields, says in (
        ({"kind": "web", "status": "in_progress"}, "Place another call"),
        ({"kind": "web", "status": "ended"}, "Place another call"),
        ({"kind": "simulated"}, "Browsers join web calls"),
    ):
        assert says in api.post(f"calls/{placed(**fields).public_id}/token").json()["detail"]
