"""What was said, done and used in a call, and the messages callers left, over the API."""

import pytest

from calls.models import Message
from calls.services import finalize_call
from calls.services.journal import apply_entries
from calls.testing import JOB
from calls.tests import journal as j
from tenants.models import AuditEvent
from tenants.roles import SCOPES


@pytest.fixture
def told(placed, within, default_rates):
    """A running call with five turns, a tool call, a message and usage."""
    call = placed(status="in_progress")
    turns = [j.turn(number, f"Words {number}.") for number in range(5)]
    entries = [*turns, j.tool_call(), j.message(), j.usage(10, provider="local", model="default")]
    apply_entries(call_id=call.pk, job_id=JOB, entries=entries)
    return call


def data(response):
    assert response.status_code == 200, response.content
    shown = response.json()
    assert (shown["object"], set(shown)) == ("list", {"object", "data", "has_more", "next"})
    return shown["data"]


def test_the_transcript_is_read_in_order_and_on_from_what_was_seen(api, told):
    first = api.get(f"calls/{told.public_id}/transcript?limit=3").json()
    assert [turn["sequence"] for turn in first["data"]] == [0, 1, 2]
    assert first["data"][1] == {
        "sequence": 1,
        "speaker": "caller",
        "source": "speech",
        "text": "Words 1.",
        "started_ms": 2000,
        "ended_ms": 3500,
        "interrupted": False,
        "redacted": False,
        "language": "en",
        "words": [],
    }
    rest = api.get(first["next"].partition("/api/v1/")[2]).json()
    assert ([turn["sequence"] for turn in rest["data"]], rest["has_more"]) == ([3, 4], False)
    assert data(api.get(f"calls/{told.public_id}/transcript?after=4")) == []


@pytest.mark.parametrize("query", ["after=x", "after=-2", "limit=0", "limit=501", "before=3", "after=99999999999"])
def test_what_a_transcript_cannot_be_asked_for_is_named(api, told, query):
    response = api.get(f"calls/{told.public_id}/transcript?{query}")
    assert response.status_code == 400
    assert [error["param"] for error in response.json()["errors"]] == [query.partition("=")[0]]


def test_tool_calls_and_usage_are_listed(api, told):
    (tool,) = data(api.get(f"calls/{told.public_id}/tool_calls"))
    assert (tool["tool"], tool["status"], tool["arguments"], tool["output"]) == ("take_message", "ok", {"name": "Ann"}, "noted")
    (line,) = data(api.get(f"calls/{told.public_id}/usage"))
    assert (line["kind"], line["unit"], line["quantity"], line["cost"]) == ("llm", "input_token", "10.000000", None)
    assert api.get(f"calls/{told.public_id}/usage?colour=red").status_code == 400


def test_the_cost_of_a_finished_call_is_told_as_decimals(api, placed, within, default_rates):
    call = placed(status="ended")
    apply_entries(call_id=call.pk, job_id=JOB, entries=[j.usage(1000, provider="local", model="default")])
    within(finalize_call, call_id=call.pk)
    (line,) = data(api.get(f"calls/{call.public_id}/usage"))
    shown = api.get(f"calls/{call.public_id}").json()
    assert (shown["cost"], shown["currency"]) == (line["cost"], line["currency"])
    assert shown["cost"].count(".") == 1
    assert shown["why_it_ended"] == "The caller hung up."


def test_messages_are_listed_read_and_noted_once(api, told, within):
    (message,) = data(api.get("messages?unread=true"))
    assert (message["caller_name"], message["call_id"], message["read_at"]) == ("Ann Lee", told.public_id, None)
    assert data(api.get(f"messages?call_id={told.public_id}")) == [message]
    assert api.get(f"messages/{message['id']}").json() == message
    read = api.post(f"messages/{message['id']}/mark_read").json()
    assert read["read_at"]
    assert api.post(f"messages/{message['id']}/mark_read").json() == read
    assert (data(api.get("messages?unread=true")), data(api.get("messages?unread=false"))) == ([], [read])
    (event,) = within(lambda: list(AuditEvent.objects.filter(action="message.read")))
    assert event.api_key_id


def test_messages_are_nobody_elses(api, stranger, make_api, tenant, told, within):
    message = within(Message.objects.get)
    assert stranger.get(f"messages/{message.public_id}").status_code == 404
    assert stranger.post(f"messages/{message.public_id}/mark_read").status_code == 404
    assert stranger.get("messages").json()["data"] == []
    reader = make_api(tenant, scopes=["calls:read"])
    assert reader.get("messages").status_code == reader.get(f"messages/{message.public_id}").status_code == 200
    assert reader.post(f"messages/{message.public_id}/mark_read").status_code == 403
    blind = make_api(tenant, scopes=sorted(set(SCOPES) - {"calls:read"}))
    assert blind.get("messages").status_code == blind.get(f"messages/{message.public_id}").status_code == 403
    assert within(Message.objects.get).read_at is None


@pytest.mark.parametrize("query", ["unread=maybe", "call_id=msg_1", "colour=red"])
def test_filters_of_messages_that_do_not_fit_are_named(api, query):
    response = api.get(f"messages?{query}")
    assert response.status_code == 400
    assert [error["param"] for error in response.json()["errors"]] == [query.partition("=")[0]]


def test_reading_costs_the_same_for_any_number_of_rows(api, told, django_assert_num_queries):
    api.get("me")
    for path, queries in [
        (f"calls/{told.public_id}/transcript", 5),  # the call, its recording, its legs, the turns, the request log
        (f"calls/{told.public_id}/events", 9),  # … whether it is over, the last place, events, turns, uses of tools
        (f"calls/{told.public_id}/usage", 5),
        ("messages", 2),
    ]:
        with django_assert_num_queries(queries):
            assert api.get(path).status_code == 200
