"""Whom a call was handed over to, as the call itself tells it over the API."""

from collections.abc import Callable
from typing import Any

import pytest

from agents.testing import make_agent
from calls.models import Call, CallEvent
from calls.services.journal import apply_entries
from calls.services.targets import hand_over_facts
from calls.testing import JOB
from calls.tests import journal as j
from conftest import ApiClient


@pytest.fixture
def running(placed: Callable[..., Call]) -> Call:
    return placed(status="in_progress")


def write(call: Call, *entries: j.Entry) -> None:
    apply_entries(call_id=call.pk, job_id=JOB, entries=list(entries))


def test_a_call_tells_who_was_asked_to_take_it_and_who_took_it(api: ApiClient, running: Call, within: Callable[..., Any]) -> None:
    assert api.get(f"calls/{running.public_id}").json()["hand_over"] is None
    write(running, j.event("fallback"), j.hand_over())
    desk, doctor = {"id": "tgt_1", "name": "Front desk"}, {"id": "tgt_2", "name": "Dr. Park"}
    tried = [{**doctor, "outcome": "busy"}, {**desk, "outcome": "joined"}]
    wanted = {"reason": "complaint", "summary": "A bill.", "outcome": "joined", "target": desk, "tried": tried}
    assert api.get(f"calls/{running.public_id}").json()["hand_over"] == wanted
    assert hand_over_facts(within(CallEvent.objects.get, kind="hand_over").data) == wanted


def test_the_last_of_several_hand_overs_is_told(api: ApiClient, running: Call) -> None:
    later = j.hand_over() | {"at": "2026-01-05T10:05:00+00:00"}
    write(running, later, j.hand_over(target=None, reason="other"))
    assert api.get(f"calls/{running.public_id}").json()["hand_over"]["outcome"] == "joined"
    last = j.hand_over(target=None, reason="other") | {"at": "2026-01-05T10:09:00+00:00"}
    write(running, last)
    shown = api.get(f"calls/{running.public_id}").json()["hand_over"]
    assert (shown["outcome"], shown["target"], shown["reason"]) == ("not_taken", None, "other")


def test_what_was_said_stays_out_where_no_content_is_kept(api: ApiClient, placed: Any, within: Callable[..., Any]) -> None:
    call = placed(agent=within(make_agent, settings={"kept": "no_content"}), status="ended", finalized=True)
    write(call, j.hand_over())
    shown = api.get(f"calls/{call.public_id}").json()["hand_over"]
    assert (shown["summary"], shown["reason"], shown["outcome"]) == ("", "complaint", "joined")


def test_answers_about_one_call_tell_it_and_lists_do_not(api: ApiClient, running: Call) -> None:
    write(running, j.hand_over())
    assert api.post(f"calls/{running.public_id}/hang_up", {}).json()["hand_over"]["outcome"] == "joined"
    assert ["hand_over" in row for row in api.get("calls").json()["data"]] == [False]


def test_fetching_a_call_costs_one_query_for_its_hand_over(api: ApiClient, running: Call, django_assert_num_queries: Any) -> None:
    write(running, *(j.hand_over(reason=str(number)) for number in range(3)))
    api.get(f"calls/{running.public_id}")
    with django_assert_num_queries(5):  # call, recordings, legs, hand-over, the request log
        api.get(f"calls/{running.public_id}")
