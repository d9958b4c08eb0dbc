"""Chats over the API; what is said in them: voice_worker/tests/test_chat.py."""

import threading

import pytest

from agents import testing as agents_testing
from calls import lifecycle
from calls.api import chats
from calls.api.waiting import Waiting
from calls.clock import database_now
from calls.models import Call, CallCommand, Turn
from calls.services.chats import write_message
from calls.services.commands import take_commands
from calls.services.journal import apply_entries
from calls.testing import JOB, make_call
from tenants.scope import tenant_scope


@pytest.fixture
def agent(tenant):
    with tenant_scope(tenant):
        return agents_testing.make_agent()


@pytest.fixture
def chat(tenant, agent):
    with tenant_scope(tenant):
        return make_call(kind="chat", status="in_progress", agent=agent)


def answer(call, text="At nine."):
    """What a job writes down about the message that waits."""
    [command] = take_commands(call.pk)
    turn = Turn.objects.filter(call=call).count() + 1
    said = [("caller", "text", "Open?"), ("agent", "reply", text)]
    entries = [
        {"op": "turn", "sequence": turn + step, "speaker": speaker, "source": source, "text": words}
        for step, (speaker, source, words) in enumerate(said)
    ]
    done = {"op": "answered", "command_id": str(command.pk), "turn": turn, "at": database_now().isoformat()}
    apply_entries(call_id=call.pk, job_id=JOB, entries=[*entries, done])


def test_a_chat_begins_with_the_first_message(api, agent):
    response = api.send("post", f"agents/{agent.public_id}/chat", {"message": "Open?", "wait_s": 0, "metadata": {"ticket": "7"}})
    assert response.status_code == 201
    call, message = response.json()["call"], response.json()["message"]
    assert (call["kind"], call["livemode"], call["status"], call["metadata"]) == ("chat", False, "queued", {"ticket": "7"})
    assert (message["state"], message["reply"], message["turns"]) == ("waiting", None, [])


def test_a_chat_may_begin_without_a_message(api, agent):
    response = api.send("post", f"agents/{agent.public_id}/chat", {})
    assert (response.status_code, response.json()["message"]) == (201, None)


def test_a_chat_takes_the_version_asked_for(api, tenant):
    with tenant_scope(tenant):
        agent = agents_testing.make_agent(published=False)
    path = f"agents/{agent.public_id}/chat"
    assert api.send("post", path, {"version": "draft"}).json()["call"]["version_number"] == 1
    assert api.send("post", path, {}).json()["call"]["version_number"] == 1
    refused = api.send("post", path, {"version": "published"})
    assert (refused.status_code, refused.json()["errors"][0]["param"]) == (400, "version")


def test_a_reply_comes_with_the_message_that_asked(transactional_db, api, tenant, chat):
    asked = []
    other = threading.Thread(target=lambda: asked.append(api.send("post", f"calls/{chat.public_id}/messages", {"text": "Open?"})))
    other.start()
    with tenant_scope(tenant):
        while not CallCommand.objects.exists():
            pass
        answer(chat)
    other.join(10)
    assert (asked[0].status_code, asked[0].json()["state"], asked[0].json()["reply"]) == (200, "answered", "At nine.")


def test_what_was_not_answered_in_time_is_fetched_later(api, tenant, chat):
    written = api.send("post", f"calls/{chat.public_id}/messages", {"text": "Open?", "wait_s": 0})
    assert (written.status_code, written.json()["state"]) == (202, "waiting")
    with tenant_scope(tenant):
        answer(chat)
    read = api.get(f"calls/{chat.public_id}/messages/{written.json()['id']}").json()
    assert (read["state"], read["reply"]) == ("answered", "At nine.")
    assert [(turn["speaker"], turn["text"]) for turn in read["turns"]] == [("caller", "Open?"), ("agent", "At nine.")]


def test_the_turns_of_a_message_end_where_the_next_begins(api, tenant, chat):
    for text in ("First.", "Second."):
        written = api.send("post", f"calls/{chat.public_id}/messages", {"text": "Open?", "wait_s": 0}).json()
        with tenant_scope(tenant):
            answer(chat, text)
        assert api.get(f"calls/{chat.public_id}/messages/{written['id']}").json()["reply"] == text
    first = CallCommand.all_objects.order_by("created_at").first()
    assert api.get(f"calls/{chat.public_id}/messages/{first.public_id}").json()["reply"] == "First."


def test_a_message_is_sent_once_under_its_key(api, tenant, chat):
    path, body = f"calls/{chat.public_id}/messages", {"text": "Open?", "wait_s": 0}
    first, again = (api.send("post", path, body, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert again["Idempotent-Replayed"] == "true"
    assert CallCommand.all_objects.count() == 1
    with tenant_scope(tenant):
        answer(chat)
    later = api.send("post", path, body, headers={"Idempotency-Key": "one"})
    assert (later.status_code, later.json()["reply"]) == (200, "At nine.")


def test_a_chat_is_started_once_under_its_key(api, agent):
    path, body = f"agents/{agent.public_id}/chat", {"message": "Open?", "wait_s": 0}
    first, again = (api.send("post", path, body, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert first.json()["call"]["id"] == again.json()["call"]["id"]
    assert Call.all_objects.count() == CallCommand.all_objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"kind": "simulated", "status": "in_progress"}, "not_a_chat"), ({"kind": "chat", "status": "ended"}, "call_ended")],
)
def test_a_message_nobody_would_read_is_refused(api, tenant, fields, code):
    with tenant_scope(tenant):
        call = make_call(**fields)
    refused = api.send("post", f"calls/{call.public_id}/messages", {"text": "Open?"})
    assert (refused.status_code, refused.json()["code"]) == (409, code)
    assert not CallCommand.all_objects.exists()


def test_a_chat_that_ends_first_says_so(api, tenant, chat):
    written = api.send("post", f"calls/{chat.public_id}/messages", {"text": "4111 1111 1111 1111", "wait_s": 0}).json()
    with tenant_scope(tenant):
        lifecycle.end(call_id=chat.pk, disposition="failed", ended_reason="worker_lost", at=database_now())
    path = f"calls/{chat.public_id}/messages/{written['id']}"
    assert api.get(path).json()["state"] == "unanswered"


def test_what_was_written_is_kept_in_the_transcript_alone(tenant, chat):
    with tenant_scope(tenant):
        write_message(chat, "4111 1111 1111 1111")
        take_commands(chat.pk)
        write_message(chat, "Too late")
        lifecycle.end(call_id=chat.pk, disposition="completed", ended_reason="idle", at=database_now(), job_id=JOB)
        apply_entries(call_id=chat.pk, job_id=JOB, entries=[{"op": "finalize", "at": database_now().isoformat()}])
        assert list(CallCommand.objects.values_list("text", flat=True)) == ["", ""]


def test_no_more_wait_than_the_web_process_can_bear(api, chat, monkeypatch):
    monkeypatch.setattr(chats, "WAITING", Waiting(places=0))
    answer = api.send("post", f"calls/{chat.public_id}/messages", {"text": "Open?"})
    assert (answer.status_code, answer.json()["state"]) == (202, "waiting")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": "x" * 2001}, "text"),
        ({"text": "x", "wait_s": 26}, "wait_s"),
        ({"text": "x", "to": 1}, "to"),
    ],
)
def test_what_does_not_fit_is_named(api, chat, body, param):
    refused = api.send("post", f"calls/{chat.public_id}/messages", body)
    assert (refused.status_code, refused.json()["errors"][0]["param"]) == (400, param)


def test_a_message_belongs_to_its_chat(api, tenant, agent, chat):
    with tenant_scope(tenant):
        message = write_message(chat, "Open?")
        other = make_call(kind="chat", agent=agent)
    assert api.get(f"calls/{other.public_id}/messages/{message.public_id}").status_code == 404


def test_a_chat_lasts_longer_than_a_phone_call(tenant, agent):
    with tenant_scope(tenant):
        assert make_call(kind="chat", agent=agent).max_duration_s == 7200
        assert make_call(kind="chat", agent=agent, overrides={"max_duration_s": 60}).max_duration_s == 60
