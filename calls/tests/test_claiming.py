from collections.abc import Callable

import psycopg
import pytest
from django.db import connection

from calls import lifecycle
from calls.clock import database_now
from calls.models import Call, CallEvent, WorkerHost
from calls.services import claim_call, end_call, local_queue
from calls.tests.racing import race

Make = Callable[..., Call]
MakeHost = Callable[..., WorkerHost]


def test_one_of_eight_processes_claims(database_env: dict[str, str], make_call: Make, make_host: MakeHost) -> None:
    host = make_host()
    call = make_call(status="dispatched", job_id="", host=host)
    body = 'return services.claim_call(call_id=UUID(given["call"]), job_id=f"job-{number}", host_id=UUID(given["host"]))'
    won = race(database_env, body, processes=8, call=call.pk, host=host.pk)
    assert sorted(won) == [False] * 7 + [True]
    call.refresh_from_db()
    assert call.job_id == f"job-{won.index(True)}"
    assert CallEvent.objects.filter(call=call, kind="claimed").count() == 1


def test_a_claim_of_a_queued_call_dispatches_it(make_call: Make, make_host: MakeHost) -> None:
    host = make_host()
    call = make_call(host=host)
    assert claim_call(call_id=call.pk, job_id="job-1", host_id=host.pk)
    call.refresh_from_db()
    assert (call.status, call.job_id, call.host_id) == ("dispatched", "job-1", host.pk)
    assert call.dispatched_at == call.claimed_at


def test_a_ringing_inbound_call_is_claimed_where_it_is(make_call: Make, make_host: MakeHost) -> None:
    call = make_call()
    Call.objects.filter(pk=call.pk).update(kind="inbound", transport="livekit", status="ringing", room="in_1")
    assert claim_call(call_id=call.pk, job_id="job-1", host_id=make_host().pk)
    call.refresh_from_db()
    assert (call.status, call.dispatched_at) == ("ringing", None)


@pytest.mark.parametrize("status", ["in_progress", "ended"])
def test_a_call_that_has_begun_or_ended_is_not_claimed(make_call: Make, make_host: MakeHost, status: str) -> None:
    call = make_call(status=status, job_id="")
    assert not claim_call(call_id=call.pk, job_id="late", host_id=make_host().pk)
    call.refresh_from_db()
    assert (call.job_id, call.claimed_at) == ("", None)


def test_a_job_without_an_id_claims_nothing(make_call: Make, make_host: MakeHost) -> None:
    call = make_call(status="dispatched", job_id="")
    with pytest.raises(ValueError, match="without an id"):
        claim_call(call_id=call.pk, job_id="", host_id=make_host().pk)


def test_a_call_taken_back_can_be_claimed_by_a_late_job_once(make_call: Make, make_host: MakeHost) -> None:
    call = make_call(status="dispatched", job_id="")
    lifecycle.advance(call_id=call.pk, to=Call.Status.QUEUED, at=database_now(), job_id=lifecycle.UNCLAIMED)
    host = make_host()
    assert claim_call(call_id=call.pk, job_id="late", host_id=host.pk)
    assert not claim_call(call_id=call.pk, job_id="second", host_id=host.pk)


def test_a_host_takes_waiting_local_calls_oldest_first(make_call: Make, make_host: MakeHost) -> None:
    calls = [make_call() for _ in range(4)]
    make_call(host=make_host())
    end_call(call_id=calls[0].pk, disposition="canceled", ended_reason="canceled_by_user")
    host = make_host()
    assert local_queue.take_local_calls(host_id=host.pk, limit=2) == [calls[1].pk, calls[2].pk]
    assert local_queue.take_local_calls(host_id=host.pk, limit=0) == []
    assert local_queue.take_local_calls(host_id=host.pk, limit=5) == [calls[3].pk]
    assert {(c.status, c.host_id) for c in Call.objects.filter(pk__in=[c.pk for c in calls[1:]])} == {("dispatched", host.pk)}


def test_calls_for_a_room_are_not_taken_by_a_local_host(make_call: Make, make_host: MakeHost) -> None:
    make_call(kind="web")
    assert local_queue.take_local_calls(host_id=make_host().pk, limit=5) == []


def test_hosts_that_take_at_once_share_the_queue(
    database_env: dict[str, str], make_call: Make, make_host: MakeHost, roomy: None
) -> None:
    calls = [make_call() for _ in range(20)]
    hosts = [make_host() for _ in range(4)]
    body = 'return local_queue.take_local_calls(host_id=UUID(given["hosts"][number]), limit=5)'
    taken = race(database_env, body, processes=4, hosts=[host.pk for host in hosts])
    assert sorted(call for share in taken for call in share) == sorted(str(call.pk) for call in calls)
    assert [len(share) for share in taken] == [5] * 4
    assert CallEvent.objects.filter(kind="dispatched").count() == 20


def test_a_call_another_process_is_busy_with_is_passed_over(
    database_env: dict[str, str], make_call: Make, make_host: MakeHost
) -> None:
    busy, free = make_call(), make_call()
    host = make_host()
    with psycopg.connect(database_env["DATABASE_URL"]) as other, connection.cursor() as cursor:
        other.execute("SELECT 1 FROM calls_call WHERE id = %s FOR UPDATE", [busy.pk])
        cursor.execute("SET lock_timeout = '2s'")
        assert local_queue.take_local_calls(host_id=host.pk, limit=5) == [free.pk]
        cursor.execute("RESET lock_timeout")
