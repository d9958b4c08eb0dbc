"""Steering running calls over the API."""

import pytest

from calls.models import Call, CallCommand
from tenants.models import AuditEvent, TenantLimits
from tenants.roles import SCOPES

SAY = {"type": "say", "text": "Hello."}


def commands(within):
    return within(lambda: list(CallCommand.objects.all()))


def test_an_action_is_accepted_listed_and_fetched(api, placed, within):
    call = placed(status="in_progress")
    answer = api.post(f"calls/{call.public_id}/actions", {**SAY, "reason": "Polite"})
    assert answer.status_code == 202, answer.content
    shown = answer.json()
    assert (shown["type"], shown["state"], shown["call_id"]) == ("say", "waiting", call.public_id)
    assert (shown["failed_because"], shown["taken_at"], shown["finished_at"]) == (None, None, None)
    assert api.get(f"calls/{call.public_id}/actions/{shown['id']}").json() == shown
    assert api.get(f"calls/{call.public_id}/actions").json()["data"] == [shown]
    (event,) = within(lambda: list(AuditEvent.objects.filter(action="call.say_requested")))
    assert (event.reason, bool(event.api_key_id)) == ("Polite", True)


def test_the_same_key_acts_once(api, placed, within):
    call = placed(status="in_progress")
    first, second = (api.post(f"calls/{call.public_id}/actions", SAY, headers={"Idempotency-Key": "a"}) for _ in range(2))
    assert first.json() == second.json()
    assert second["Idempotent-Replayed"] == "true"
    other = api.post(f"calls/{call.public_id}/actions", {**SAY, "text": "Bye."}, headers={"Idempotency-Key": "a"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(commands(within)) == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "type"),
        ({"type": "dance"}, "type"),
        ({"type": "message", "text": "x"}, "type"),
        ({"type": "say"}, "text"),
        ({"type": "say", "text": "x", "digits": "1"}, "digits"),
        ({"type": "say", "text": "x" * 2001}, "text"),
        ({"type": "mute_agent", "text": "x"}, "text"),
        ({**SAY, "when": "later"}, "when"),
        ({**SAY, "colour": "red"}, "colour"),
    ],
)
def test_fields_that_do_not_fit_are_named(api, placed, within, body, param):
    answer = api.post(f"calls/{placed(status='in_progress').public_id}/actions", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert [error["param"] for error in answer.json()["errors"]] == [param]
    assert commands(within) == []


@pytest.mark.parametrize(
    ("made", "body", "code"),
    [
        ({"status": "ended"}, SAY, "call_ended"),
        ({"status": "dispatched"}, SAY, "call_not_answered"),
        ({"status": "in_progress"}, {"type": "send_dtmf", "digits": "1"}, "not_supported_for_kind"),
        ({"status": "in_progress"}, {"type": "transfer", "to": "+12125550123"}, "not_supported_for_kind"),
        ({"status": "in_progress", "kind": "chat"}, {"type": "mute_agent"}, "not_supported_for_kind"),
    ],
)
def test_what_a_call_cannot_do_is_refused_with_its_reason(api, placed, within, made, body, code):
    answer = api.post(f"calls/{placed(**made).public_id}/actions", body)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert commands(within) == []


@pytest.fixture
def phone_call(placed, within):
    """A running call with somebody's phone at its other end."""
    call = placed(status="in_progress")
    facts = {"kind": "inbound", "transport": "livekit", "room": "in_x", "phone": "+12125550177", "persona": ""}
    within(lambda: Call.objects.filter(pk=call.pk).update(**facts))
    within(lambda: TenantLimits.objects.update(allowed_countries=["US"]))
    return call


@pytest.mark.parametrize(
    ("digits", "says"), [("12x", "0-9, *, # and w"), ("", "blank"), ("1" * 200, "no more than 32"), (None, "null")]
)
def test_keys_that_no_phone_has_are_named(api, phone_call, within, digits, says):
    answer = api.post(f"calls/{phone_call.public_id}/actions", {"type": "send_dtmf", "digits": digits})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    ((param, message),) = [(error["param"], error["detail"]) for error in answer.json()["errors"]]
    assert (param, says in message) == ("digits", True), message
    assert commands(within) == []


def test_a_caller_is_not_put_through_to_their_own_phone(api, phone_call, within):
    mine = api.post("transfer_targets", {"name": "Me", "phone": "+1 (212) 555-0177"}).json()["id"]
    for field, value in (("to", "+1 212 555 0177"), ("target_id", mine)):
        answer = api.post(f"calls/{phone_call.public_id}/actions", {"type": "transfer", field: value})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
        assert [error["param"] for error in answer.json()["errors"]] == [field]
    assert commands(within) == []


def test_only_who_may_steer_does(stranger, make_api, tenant, placed, within):
    call = placed(status="in_progress")
    assert stranger.post(f"calls/{call.public_id}/actions", SAY).status_code == 404
    writer = make_api(tenant, scopes=sorted(set(SCOPES) - {"calls:control"}))
    assert writer.post(f"calls/{call.public_id}/actions", SAY).status_code == 403
    assert commands(within) == []
