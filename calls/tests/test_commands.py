from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis

from calls import wakeups
from calls.clock import database_now
from calls.errors import CallEndedError
from calls.models import Call, CallCommand, WorkerHost
from calls.services import commands, end_call
from calls.services.commands import Overdue, request_hang_up, take_commands
from calls.testing import JOB
from calls.tests.racing import race
from tenants.models import User

Make = Callable[..., Call]
MakeHost = Callable[..., WorkerHost]


def test_the_job_is_asked_to_hang_up(make_call: Make, make_user: Callable[..., User]) -> None:
    call, staff = make_call(status="in_progress"), make_user()
    command = request_hang_up(call, actor=staff, reason="wrong number")
    assert command
    assert request_hang_up(call) == command, "asked twice, told once"
    (taken,) = take_commands(call.pk)
    assert (taken.kind, taken.actor, taken.reason) == ("hang_up", staff, "wrong number")
    assert take_commands(call.pk) == []
    call.refresh_from_db()
    assert call.status == "in_progress", "the job hangs up, nobody else"


@pytest.mark.parametrize("status", ["queued", "dispatched"])
def test_a_call_without_a_job_ends_at_once(make_call: Make, status: str) -> None:
    call = make_call(status=status, job_id="")
    assert request_hang_up(call) is None
    call.refresh_from_db()
    assert (call.status, call.disposition, call.ended_reason) == ("ended", "canceled", "canceled_by_user")
    assert not CallCommand.objects.exists()


def test_an_ended_call_cannot_be_hung_up(make_call: Make) -> None:
    call = make_call(status="ended")
    with pytest.raises(CallEndedError):
        request_hang_up(call)
    assert not CallCommand.objects.exists()


def test_a_command_is_taken_once(database_env: dict[str, str], make_call: Make) -> None:
    call = make_call(status="in_progress")
    request_hang_up(call)
    body = 'return len(commands.take_commands(UUID(given["call"])))'
    assert sorted(race(database_env, body, processes=4, call=call.pk)) == [0, 0, 0, 1]


def test_a_hang_up_nobody_took_in_7_seconds_is_the_hosts(make_call: Make, make_host: MakeHost) -> None:
    host = make_host()
    call = make_call(status="in_progress", host=host)
    taken = make_call(status="in_progress", host=host, job_id="job-2")
    for each in (call, taken):
        request_hang_up(each)
    take_commands(taken.pk)
    asked = database_now()
    CallCommand.objects.update(created_at=asked)
    assert commands.overdue(host.pk, now=asked + timedelta(seconds=6.9)) == []
    late = asked + timedelta(seconds=7)
    assert commands.overdue(host.pk, now=late) == [Overdue(call_id=call.pk, job_id=JOB)]
    assert commands.overdue(make_host().pk, now=late) == []
    end_call(call_id=call.pk, disposition="canceled", ended_reason="canceled_by_user")
    assert commands.overdue(host.pk, now=late) == []


@pytest.mark.django_db(transaction=True)
def test_a_command_wakes_the_job(make_call: Make, settings: Any) -> None:
    call = make_call(status="in_progress")
    with Redis.from_url(settings.REDIS_URL).pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(wakeups.COMMANDS)
        listening.get_message(timeout=5)
        request_hang_up(call)
        message = listening.get_message(timeout=5)
    assert message
    assert message["data"] == str(call.pk).encode()


def test_the_clock_of_commands_is_the_databases(make_call: Make) -> None:
    before = database_now()
    command = request_hang_up(make_call(status="in_progress"))
    assert command
    assert before <= command.created_at <= database_now()
