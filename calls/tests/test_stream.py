"""The stream of a call: everything once, in the order of commits, resumable, and waited for cheaply."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from calls.api.waiting import Waiting
from calls.models import Call, CallEvent, CallStream, Turn
from calls.services import end_call, finalize_call, stream
from calls.services.journal import apply_entries
from calls.services.stream import read_stream, wait_for_news
from calls.testing import JOB
from calls.tests import journal as j
from tenants.models import Tenant
from tenants.scope import tenant_scope

Make = Callable[..., Call]


def told(page: stream.Page) -> list[str]:
    return [row.kind if isinstance(row, CallEvent) else getattr(row, "text", None) or row.key for row in page.rows]


def test_everything_comes_in_order_and_what_changes_comes_again(make_call: Make) -> None:
    call = make_call(status="in_progress")
    before = read_stream(call.pk, after=0, limit=100)
    assert told(before) == ["queued", "dispatched", "claimed", "in_progress"]
    apply_entries(call_id=call.pk, job_id=JOB, entries=[j.turn(0, "Hel"), j.turn(1, "Two."), j.tool_call()])
    first = read_stream(call.pk, after=before.cursor, limit=2)
    assert (told(first), first.has_more) == (["Hel", "Two."], True)
    apply_entries(call_id=call.pk, job_id=JOB, entries=[j.turn(0, "Hello.")])
    rest = read_stream(call.pk, after=first.cursor, limit=100)
    assert (told(rest), rest.has_more) == (["take_message", "Hello."], False)
    assert read_stream(call.pk, after=rest.cursor, limit=100).rows == []


def test_what_is_sent_again_does_not_come_again(make_call: Make) -> None:
    call = make_call(status="in_progress")
    apply_entries(call_id=call.pk, job_id=JOB, entries=[j.turn(0, "One.")])
    seen = read_stream(call.pk, after=0, limit=100)
    apply_entries(call_id=call.pk, job_id=JOB, entries=[j.turn(0, "One.")])
    again = read_stream(call.pk, after=seen.cursor, limit=100)
    assert (again.rows, again.cursor >= seen.cursor) == ([], True)


def test_it_is_over_once_the_record_is_complete(make_call: Make) -> None:
    call = make_call(status="in_progress")
    end_call(call_id=call.pk, disposition="completed", ended_reason="caller_hung_up")
    assert not read_stream(call.pk, after=0, limit=100).is_over
    finalize_call(call_id=call.pk)
    assert not read_stream(call.pk, after=0, limit=2).is_over
    assert read_stream(call.pk, after=0, limit=100).is_over
    began = time.monotonic()
    assert wait_for_news(call.pk, after=999, limit=10, timeout_s=20).is_over
    assert time.monotonic() - began < 5


def in_thread(tenant: Tenant, step: Callable[[], Any]) -> Any:
    try:
        with tenant_scope(tenant):
            return step()
    finally:
        connections.close_all()


@pytest.fixture
def call(transactional_db: None, make_tenant: Any) -> Call:
    from calls.testing import make_call

    tenant = make_tenant()
    with tenant_scope(tenant):
        return make_call(status="in_progress")


def test_writers_at_once_take_their_places_in_the_order_of_their_commits(call: Call) -> None:
    stop, seen = threading.Event(), list[int]()

    def follow() -> None:
        cursor = 0
        while not (stop.is_set() and not (page := read_stream(call.pk, after=cursor, limit=7)).rows):
            page = read_stream(call.pk, after=cursor, limit=7)
            seen.extend(row.position for row in page.rows)
            cursor = page.cursor

    def write(writer: int) -> None:
        for number in range(25):
            CallEvent.objects.create(call=call, kind="note", at=call.created_at, data={"n": f"{writer}:{number}"})

    with ThreadPoolExecutor(5) as pool:
        following = pool.submit(in_thread, call.tenant, follow)
        for writing in [pool.submit(in_thread, call.tenant, lambda n=n: write(n)) for n in range(4)]:
            writing.result()
        stop.set()
        following.result()
    with tenant_scope(call.tenant):
        assert seen == sorted(seen)
        assert sorted(CallEvent.objects.values_list("position", flat=True)) == seen
        assert CallStream.objects.get(call=call).last == seen[-1]


@pytest.mark.parametrize("redis_url", ["", "redis://127.0.0.1:1/0"])
def test_news_end_the_wait_at_once_and_nobody_asks_meanwhile(call: Call, settings: Any, redis_url: str) -> None:
    settings.REDIS_URL = redis_url or settings.REDIS_URL
    queries: list[int] = []

    def wait() -> tuple[list[str], float]:
        with tenant_scope(call.tenant), CaptureQueriesContext(connection) as asked:
            page = wait_for_news(call.pk, after=read_stream(call.pk, after=0, limit=9).cursor, limit=9, timeout_s=20)
            queries.append(len(asked))
            return told(page), time.monotonic()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(in_thread, call.tenant, wait)
        time.sleep(2.5)
        written = time.monotonic()
        apply_entries(call_id=call.pk, job_id=JOB, entries=[j.turn(0, "One.")])
        texts, at = waiting.result(30)
    assert texts == ["One."]
    assert at - written < (3 if redis_url else 1.0)
    assert redis_url or queries[0] <= 16, queries


def test_a_wait_that_brings_nothing_ends_in_time(call: Call) -> None:
    with tenant_scope(call.tenant):
        cursor = read_stream(call.pk, after=0, limit=9).cursor
        began = time.monotonic()
        assert wait_for_news(call.pk, after=cursor, limit=9, timeout_s=1).rows == []
    assert 0.9 < time.monotonic() - began < 6


def test_waiting_is_limited_for_each_key_and_for_all() -> None:
    waiting, mine, yours, theirs = Waiting(places=4, places_of_a_key=2), *map(str, range(3))
    with waiting.place(mine) as one, waiting.place(mine) as two, waiting.place(mine) as three:
        assert (one, two, three) == (True, True, False)
        with waiting.place(yours) as four, waiting.place(yours) as five, waiting.place(theirs) as six:
            assert (four, five, six) == (True, True, False)
        with waiting.place(theirs) as seven:
            assert seven
    with waiting.place(mine) as again:
        assert again


def test_the_api_follows_a_call(api, placed, within) -> None:
    call = placed(status="in_progress")
    apply_entries(call_id=call.pk, job_id=JOB, entries=[j.turn(0, "One."), j.tool_call()])
    first = api.get(f"calls/{call.public_id}/events?limit=4").json()
    assert [(item["type"], item["event"]["kind"]) for item in first["data"]][:2] == [
        ("status", "queued"),
        ("status", "dispatched"),
    ]
    assert (first["has_more"], first["data"][2]["type"]) == (True, "event")
    rest = api.get(first["next"].partition("/api/v1/")[2]).json()
    assert [item["type"] for item in rest["data"]] == ["turn", "tool_call"]
    assert (rest["data"][0]["turn"]["text"], rest["data"][0]["event"], rest["is_over"]) == ("One.", None, False)
    waited = api.get(f"calls/{call.public_id}/events?after={rest['cursor']}&wait=1").json()
    assert (waited["data"], waited["cursor"]) == ([], rest["cursor"])


def test_too_many_who_wait_are_sent_away(api, placed, monkeypatch) -> None:
    monkeypatch.setattr("calls.api.records.WAITING", Waiting(places=0))
    answer = api.get(f"calls/{placed(status='in_progress').public_id}/events?wait=30")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (429, "too_many_waiting", "2")


@pytest.mark.parametrize("query", ["after=x", "after=-1", "limit=0", "limit=501", "wait=31", "wait=-1", "ordering=x"])
def test_what_a_stream_cannot_be_asked_for_is_named(api, placed, query) -> None:
    answer = api.get(f"calls/{placed().public_id}/events?{query}")
    assert [error["param"] for error in answer.json()["errors"]] == [query.partition("=")[0]]


def test_turns_and_events_carry_no_place_of_anothers(make_call: Make) -> None:
    one, two = make_call(status="in_progress"), make_call(status="in_progress", job_id="job-2")
    apply_entries(call_id=one.pk, job_id=JOB, entries=[j.turn(0, "One.")])
    before = CallStream.objects.get(call=two).last
    assert Turn.objects.get().position == CallStream.objects.get(call=one).last
    assert CallStream.objects.get(call=two).last == before
