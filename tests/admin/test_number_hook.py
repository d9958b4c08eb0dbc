"""Trying a number's hook from the console."""

import json
import os
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from agents.models import Agent
from agents.testing import make_agent
from calls.admin.numbers import MADE_UP_CALLER
from calls.models import Call, PhoneNumber
from calls.services import numbers
from calls.testing import make_number
from tenants.models import Tenant
from tenants.scope import tenant_scope

PHONE = "+12025550177"


class Hook(ThreadingHTTPServer):
    """A customer's hook that gives one answer, and sees whether anybody holds a transaction open while it thinks."""

    def __init__(self) -> None:
        self.answer: tuple[int, str] = (200, "{}")
        self.asked: list[dict[str, Any]] = []
        self.open_transactions = 0
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.asked.append({**json.loads(self.rfile.read(int(self.headers["Content-Length"]))), "headers": self.headers})
                hook.look()
                self.send_response(hook.answer[0])
                self.end_headers()
                self.wfile.write(hook.answer[1].encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def look(self) -> None:
        with psycopg.connect(os.environ["DATABASE_URL"]) as db:
            ours = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = %s"
            row = db.execute(ours, [connection.settings_dict["NAME"]]).fetchone()
        self.open_transactions += row[0] if row else 0


@pytest.fixture
def hook(settings: Any) -> Iterator[Hook]:
    settings.VP_OUTBOUND_LOOPBACK = True
    with Hook() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def agent(tenant: Tenant) -> Agent:
    with tenant_scope(tenant):
        return make_agent()


@pytest.fixture
def number(tenant: Tenant, agent: Agent, hook: Hook) -> PhoneNumber:
    with tenant_scope(tenant):
        return make_number(agent=agent, phone=PHONE, hook_url=f"http://127.0.0.1:{hook.server_address[1]}/in")


@pytest.fixture
def client_of(root_of: Callable[[Tenant], Client], tenant: Tenant) -> Client:
    return root_of(tenant)


def ask_url(number: PhoneNumber) -> str:
    return reverse("admin:calls_phonenumber_hook", args=[number.pk])


def text(response: Any) -> str:
    page: str = response.content.decode()
    return page


@pytest.mark.django_db(transaction=True)
def test_a_hook_is_asked_outside_of_any_transaction(client_of: Client, agent: Agent, number: PhoneNumber, hook: Hook) -> None:
    assert "Ask the hook now" in text(client_of.get(reverse("admin:calls_phonenumber_change", args=[number.pk])))
    hook.answer = (200, json.dumps({"agent_id": agent.public_id, "variables": {"plan": "<gold>"}, "metadata": {"crm": "7"}}))
    page = text(client_of.post(ask_url(number)))
    for told in ("its answer can be used", f"{agent.name}</a> answers", "&lt;gold&gt;", "crm", "ms of at most 2 s"):
        assert told in page
    [asked] = hook.asked
    assert (asked["type"], asked["data"]["to"], asked["data"]["from"]) == ("call.ringing", PHONE, MADE_UP_CALLER)
    assert asked["headers"]["Webhook-Signature"].startswith("v1,")
    assert hook.open_transactions == 0


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((200, '{"reject": true}'), "the call is rejected"),
        ((200, '{"forward_to": "+12125550123"}'), "put through to +12125550123"),
        ((200, "{}"), "what the number does without a hook"),
        ((503, ""), "It answered with status 503"),
        ((200, '{"agent_id": "agt_x"}'), "there is no published agent"),
    ],
)
def test_what_a_hook_says_is_shown(
    client_of: Client, number: PhoneNumber, hook: Hook, answer: tuple[int, str], says: str
) -> None:
    hook.answer = answer
    assert says in text(client_of.post(ask_url(number)))
    assert not Call.all_objects.exists()


def test_a_hook_that_is_away_is_told(client_of: Client, number: PhoneNumber, hook: Hook) -> None:
    hook.shutdown()
    hook.server_close()
    page = text(client_of.post(ask_url(number)))
    assert "It decided nothing" in page
    assert "no answer" in page


def test_a_hook_is_asked_by_those_who_may_change_the_number(
    staff: Callable[..., Client], tenant: Tenant, other_tenant: Tenant, number: PhoneNumber, hook: Hook
) -> None:
    ask, rights = ask_url(number), ("view_phonenumber", "change_phonenumber")
    assert staff(tenant, "view_phonenumber").post(ask).status_code == 403
    assert staff(other_tenant, *rights).post(ask).status_code == 404
    changer = staff(tenant, *rights)
    assert changer.get(ask).status_code == 405
    with tenant_scope(tenant):
        numbers.change_number(number=number, hook_url="")
    assert "has no hook to ask" in text(changer.post(ask, follow=True))
    with tenant_scope(tenant):
        numbers.release_number(number=number)
    assert changer.post(ask).status_code == 403
    assert hook.asked == []
