"""A server killed in the middle of a POST, and many programs with one Idempotency-Key: one effect, one answer."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import pytest
from django.db import connection, transaction

from agents.models import Agent
from agents.testing import make_agent
from calls.models import Call
from tenants.models import IdempotencyRecord
from tenants.scope import tenant_scope
from tests.api.serving import DIES, Server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

# Where a request stands while the test holds the lock on this table, and how many rows are left when it dies there.
POINTS = {
    "before the transaction": ("tenants_apikey", "ACCESS EXCLUSIVE", 0),
    "before the effect": ("tenants_idempotencyrecord", "ACCESS EXCLUSIVE", 0),
    "between the effect and its record": ("tenants_idempotencyrecord", "SHARE", 0),
    "between the commit and the answer": ("tenants_requestlog", "SHARE", 1),
}


@pytest.fixture
def start(database_env, tmp_path):
    servers = []

    def started():
        servers.append(Server(database_env, log=tmp_path / "web.log"))
        return servers[-1]

    yield started
    for server in servers:
        server.kill()


@pytest.fixture
def posts(tenant):
    with tenant_scope(tenant):
        agent = make_agent(name="There before")
    return {"calls": {"agent_id": agent.public_id, "kind": "simulated"}, "agents": {"name": "Posted"}}


def made(tenant):
    with tenant_scope(tenant):
        found = {"calls": Call.objects.count(), "agents": Agent.objects.filter(name="Posted").count()}
        return found, IdempotencyRecord.objects.count()


@contextmanager
def held(table, mode):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN {mode} MODE")
        yield cursor


def wait_until_blocked(cursor, number):
    # Unlike pg_stat_activity this is read anew within a transaction.
    blocked = (
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database WHERE NOT granted AND datname = current_database()"
    )
    deadline = time.monotonic() + 20
    while cursor.execute(blocked).fetchone()[0] < number:
        assert time.monotonic() < deadline, "the requests never got there"
        time.sleep(0.02)


def settled(server, path, body, secret):
    """What comes once nobody is working on it and requests are counted again; the database takes back what a dead server
    began in its own time."""
    deadline = time.monotonic() + 20
    while (answer := server.ask("POST", f"/api/v1/{path}", body, secret=secret, key=path)).status in (409, 503):
        assert time.monotonic() < deadline, answer.body
        time.sleep(0.05)
    return answer


@pytest.mark.parametrize("point", POINTS)
def test_a_post_whose_server_is_killed_is_nothing_or_whole(point, start, posts, make_key, tenant):
    table, mode, left = POINTS[point]
    server, secret = start(), make_key(tenant).secret
    with held(table, mode) as cursor, ThreadPoolExecutor(len(posts)) as pool:
        asked = [pool.submit(server.ask, "POST", f"/api/v1/{path}", posts[path], secret=secret, key=path) for path in posts]
        wait_until_blocked(cursor, len(posts))
        server.kill()
        assert all(isinstance(sent.exception(), DIES) for sent in asked)
    other = start()
    assert made(tenant) == (dict.fromkeys(posts, left), left * len(posts))
    for path, body in posts.items():
        first, again = (settled(other, path, body, secret) for _ in range(2))
        assert (first.status, first.headers.get("Idempotent-Replayed")) == (201, "true" if left else None)
        assert (again.status, again.body, again.headers["Idempotent-Replayed"]) == (201, first.body, "true")
        shown = other.ask("GET", f"/api/v1/{path}/{first.json['id']}", secret=secret)
        assert shown.json == first.json
    assert made(tenant) == (dict.fromkeys(posts, 1), len(posts))


def test_fifty_programs_with_one_key_have_one_effect(start, posts, make_key, tenant):
    server, secret, barrier = start(), make_key(tenant).secret, Barrier(50)

    def send(_number):
        barrier.wait()
        return server.ask("POST", "/api/v1/calls", posts["calls"], secret=secret, key="calls")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, range(50)))
    done = [answer for answer in answers if answer.status == 201]
    waiting = [answer for answer in answers if answer.status != 201]
    # A machine that is busy with fifty requests may not count them in time, which refuses what costs money.
    refusals = {(409, "idempotency_in_progress"), (503, "rate_limit_unavailable")}
    assert {(answer.status, answer.json["code"]) for answer in waiting} <= refusals
    assert all(answer.headers["Retry-After"] for answer in waiting)
    assert len({answer.body for answer in done}) == 1
    assert settled(server, "calls", posts["calls"], secret).body == done[0].body
    assert made(tenant) == ({"calls": 1, "agents": 0}, 1)
