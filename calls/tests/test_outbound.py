"""Calls to people, without a server: what is stored, what is refused, who gets a line, and how a dial ends."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from agents.testing import make_agent
from calls import lifecycle
from calls.clock import database_now
from calls.errors import GateRefusedError, InvalidCallError, NoLineError, TelephonyNotConfiguredError
from calls.models import Call, CallEvent, Leg, LineSlot, SipTrunk, TrunkPace
from calls.outcomes import of_error
from calls.services import claim_call, dispatching, end_call, finalize_call, numbers, people, trunks
from calls.services.capacity import free_places
from calls.services.dialing import Dial, NotDialed, begin_dialing, note_trunk_trouble, put_back
from calls.services.outbound import place_outbound
from calls.services.pacing import take_turn
from calls.testing import make_host, make_number, make_trunk
from tenants.models import OutboxEvent, Tenant
from tenants.scope import tenant_scope

PHONE = "+12025550143"


@pytest.fixture
def line(make_tenant: Any) -> Any:
    """A tenant in scope with a number that LiveKit knows."""
    tenant = make_tenant(timezone="America/New_York")
    with tenant_scope(tenant):
        number = make_number()
        SipTrunk.objects.update(livekit_id="ST_1")
        yield number


def place(to: str = PHONE, **asked: Any) -> Call:
    given = {"agent": asked.pop("agent", None) or make_agent(), "kind": "outbound", "override_gates": "a test at any hour"}
    return place_outbound(to=to, **given | asked)


def claimed(call: Call) -> Call:
    lifecycle.advance(call_id=call.pk, to=Call.Status.DISPATCHED, at=database_now())
    assert claim_call(call_id=call.pk, job_id="job", host_id=make_host().pk)
    return call


def test_a_call_waits_for_a_line_with_all_it_needs(line: Any) -> None:
    call = place("+1 (202) 555-0143")
    call.refresh_from_db()
    assert (call.status, call.phone, call.number, call.grant_id) == ("queued", PHONE, line, line.grant_id)
    assert call.room == f"out-{call.pk.hex}"
    assert call.not_after == call.created_at + timedelta(hours=1) or call.not_after is not None
    assert LineSlot.objects.count() == 0


def test_the_agents_own_number_is_shown_unless_told_otherwise(line: Any) -> None:
    agent = make_agent()
    own = make_number(grant=line.grant, agent=agent)
    newest = make_number(grant=line.grant)
    assert place(agent=agent).number == own
    assert place("+12025550144").number == newest
    assert place("+12025550145", from_number=line).number == line


def test_a_number_whose_trunk_takes_no_calls_gives_way_to_another(line: Any) -> None:
    agent = make_agent()
    own = make_number(agent=agent)
    SipTrunk.objects.filter(pk=own.grant.trunk_id).update(livekit_id="ST_2")
    assert place(agent=agent).number == own
    trunks.stop_trunk(trunk=own.grant.trunk, why="The carrier refuses us.")
    assert place("+12025550144", agent=agent).number == line


@pytest.mark.parametrize("change", ["released", "no_caller_id", "revoked"])
def test_without_a_number_to_show_nothing_is_stored(line: Any, change: str) -> None:
    if change == "released":
        numbers.release_number(number=line)
    elif change == "no_caller_id":
        numbers.change_number(number=line, is_caller_id=False)
    else:
        type(line.grant).objects.update(revoked_at=database_now())
    with pytest.raises(TelephonyNotConfiguredError):
        place()
    assert Call.objects.count() == 0


def test_a_number_that_may_not_be_shown_is_refused_by_field(line: Any) -> None:
    line = numbers.change_number(number=line, is_caller_id=False)
    with pytest.raises(InvalidCallError) as caught:
        place(from_number=line)
    assert set(caught.value.errors) == {"from_number_id"}


@pytest.mark.parametrize(("stopped", "code"), [(True, "trunk_stopped"), (False, "trunk_not_ready")])
def test_a_trunk_that_takes_no_calls_is_told_at_once(line: Any, stopped: bool, code: str) -> None:
    if stopped:
        trunks.stop_trunk(trunk=line.grant.trunk, why="The carrier refuses us.")
    else:
        SipTrunk.objects.update(livekit_id="")
    with pytest.raises(NoLineError) as caught:
        place()
    assert (caught.value.code, Call.objects.count()) == (code, 0)


def test_one_call_at_a_time_to_a_phone(line: Any) -> None:
    first = place()
    with pytest.raises(GateRefusedError) as caught:
        place()
    assert caught.value.code == "call_open_to_recipient"
    end_call(call_id=first.pk, disposition="busy", ended_reason="busy")
    assert place().pk != first.pk


def test_a_phone_that_may_still_ring_is_left_alone(line: Any) -> None:
    call = place()
    end_call(call_id=call.pk, disposition="unknown", ended_reason="no_response")
    with pytest.raises(GateRefusedError) as caught:
        place()
    assert caught.value.retry_at is not None
    Call.objects.update(created_at=database_now() - timedelta(hours=1), ended_at=database_now() - timedelta(minutes=2))
    assert place()


def test_a_call_is_dialed_only_after_it_is_written_down(line: Any) -> None:
    call = claimed(place())
    dial = begin_dialing(call_id=call.pk, job_id="job")
    assert isinstance(dial, Dial)
    assert (dial.phone, dial.caller_id, dial.trunk, dial.room) == (PHONE, line.phone, "ST_1", call.room)
    call.refresh_from_db()
    assert (call.status, Leg.objects.get().phone) == ("dialing", PHONE)
    assert isinstance(begin_dialing(call_id=call.pk, job_id="job"), NotDialed)


def test_the_gates_are_asked_again_before_the_ring(line: Any) -> None:
    call = claimed(place())
    people.suppress(phone=PHONE, source="complaint")
    Call.objects.update(overridden_gates=[])
    refused = begin_dialing(call_id=call.pk, job_id="job")
    assert isinstance(refused, NotDialed)
    assert (refused.disposition, refused.reason) == ("blocked", "recipient_suppressed")
    assert Call.objects.get().status == "dispatched"


def test_a_trunk_that_was_stopped_meanwhile_rings_nobody(line: Any) -> None:
    call = claimed(place())
    trunks.stop_trunk(trunk=line.grant.trunk, why="The carrier refuses us.")
    refused = begin_dialing(call_id=call.pk, job_id="job")
    assert isinstance(refused, NotDialed)
    assert (refused.disposition, refused.reason) == ("failed", "trunk_stopped")


def test_somebody_elses_job_does_not_dial(line: Any) -> None:
    call = claimed(place())
    assert isinstance(begin_dialing(call_id=call.pk, job_id="another"), NotDialed)
    assert Call.objects.get().status == "dispatched"


def test_a_call_put_back_consumes_nothing_and_is_told_to_nobody(line: Any) -> None:
    call = claimed(place())
    LineSlot.objects.create(grant=line.grant, call=call, role="callee", created_at=database_now())
    assert put_back(call_id=call.pk, job_id="job")
    call.refresh_from_db()
    assert (call.status, call.job_id, call.host_id, LineSlot.objects.count()) == ("queued", "", None, 0)
    assert OutboxEvent.objects.filter(topic="call.queued").count() == 1


def test_a_server_that_is_away_puts_calls_back(line: Any, settings: Any) -> None:
    settings.LIVEKIT_URL, settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET = "ws://127.0.0.1:1", "key", "secret" * 8
    call = place()
    assert dispatching.dispatch_due() == 0
    call.refresh_from_db()
    assert (call.status, LineSlot.objects.count()) == ("queued", 0)
    assert CallEvent.objects.filter(kind="not_dispatched").count() == 1


def test_calls_without_a_line_wait_and_others_go_on(line: Any, settings: Any) -> None:
    settings.LIVEKIT_URL = ""
    trunks.change_trunk(trunk=line.grant.trunk, channels=1)
    type(line.grant).objects.update(reserved_inbound=1)
    call = place()
    assert dispatching.dispatch_due() == 0
    call.refresh_from_db()
    assert call.status == "queued"
    assert not CallEvent.objects.filter(kind="dispatched").exists()


def test_a_place_is_taken_until_the_records_of_its_call_are_handed_in(line: Any) -> None:
    assert free_places() is None
    host = make_host(transport="livekit", slots=2)
    make_host(transport="livekit", slots=9, draining=True)
    make_host(transport="local", slots=9)
    call, seen = place(), [free_places()]
    lifecycle.advance(call_id=call.pk, to=Call.Status.DISPATCHED, at=database_now())
    seen.append(free_places())
    claim_call(call_id=call.pk, job_id="job", host_id=host.pk)
    seen.append(free_places())
    end_call(call_id=call.pk, disposition="canceled", ended_reason="canceled_by_user")
    seen.append(free_places())
    finalize_call(call_id=call.pk)
    assert [*seen, free_places()] == [2, 1, 1, 1, 2]


def test_calls_without_a_place_wait_until_there_is_one(line: Any, settings: Any) -> None:
    settings.LIVEKIT_URL = ""
    make_host(transport="livekit", slots=1)
    claimed_call, call = place(), place("+12025550144")
    lifecycle.advance(call_id=claimed_call.pk, to=Call.Status.DISPATCHED, at=database_now())
    dispatching.dispatch_due()
    assert not CallEvent.objects.filter(call=call, kind="dispatched").exists()
    end_call(call_id=claimed_call.pk, disposition="canceled", ended_reason="canceled_by_user")
    dispatching.dispatch_due()
    assert CallEvent.objects.filter(call=call, kind="dispatched").exists()


def test_a_call_whose_trunk_was_stopped_meanwhile_ends(line: Any) -> None:
    call = place()
    trunks.stop_trunk(trunk=line.grant.trunk, why="The carrier refuses us.")
    dispatching.dispatch_due()
    call.refresh_from_db()
    assert (call.disposition, call.ended_reason) == ("failed", "trunk_stopped")


@pytest.mark.parametrize(
    ("code", "status", "text", "disposition", "reason", "is_attempt"),
    [
        ("resource_exhausted", 486, "Busy Here", "busy", "busy", True),
        ("resource_exhausted", 600, "", "busy", "busy", True),
        ("resource_exhausted", 480, "", "no_answer", "no_answer", True),
        ("deadline_exceeded", 408, "", "no_answer", "no_answer", True),
        ("canceled", None, "", "no_answer", "no_answer", True),
        ("permission_denied", 603, "Decline", "rejected", "declined", True),
        ("permission_denied", 403, "", "rejected", "declined", True),
        ("permission_denied", 608, "", "rejected", "blocked_by_network", True),
        ("not_found", 404, "", "invalid_number", "unallocated", True),
        ("invalid_argument", 484, "", "invalid_number", "unallocated", True),
        ("invalid_argument", 488, "", "failed", "call_refused", False),
        ("permission_denied", 401, "", "failed", "trunk_credentials", False),
        ("unauthenticated", None, "", "failed", "trunk_credentials", False),
        ("failed_precondition", 503, "Service Unavailable", "failed", "carrier_error", False),
        ("failed_precondition", 503, "CPS limit exceeded", "failed", "carrier_limit", False),
        ("failed_precondition", 500, "Concurrent call limit exceeded", "failed", "carrier_limit", False),
        ("deadline_exceeded", 504, "", "unknown", "no_response", True),
        ("deadline_exceeded", None, "", "unknown", "no_response", True),
        ("invalid_argument", None, "lookup failed", "failed", "trunk_address", False),
        ("unavailable", None, "no response from servers", "failed", "no_telephony", False),
        ("not_found", None, "requested sip trunk does not exist", "failed", "trunk_unknown", False),
        ("something_new", None, "", "unknown", "no_response", True),
    ],
)
def test_what_the_network_says(code: str, status: int | None, text: str, disposition: str, reason: str, is_attempt: bool) -> None:
    found = of_error(code=code, sip_status=status, text=text)
    assert (found.disposition, found.reason, found.is_attempt) == (disposition, reason, is_attempt)
    assert found.stops_trunk == (reason in ("trunk_credentials", "trunk_address"))


def test_refused_credentials_stop_the_trunk_with_the_reason(line: Any) -> None:
    call = claimed(place())
    note_trunk_trouble(call_id=call.pk, outcome=of_error(code="permission_denied", sip_status=401, text="Unauthorized"))
    trunk = SipTrunk.objects.get()
    assert trunk.stopped_at
    assert "401 Unauthorized" in trunk.stopped_reason
    assert "resume the trunk" in trunk.stopped_reason


@pytest.mark.django_db(transaction=True)
def test_no_rolling_second_holds_more_turns_than_the_carrier_allows(make_tenant: Any) -> None:
    tenant: Tenant = make_tenant()
    with tenant_scope(tenant):
        trunk = make_trunk(cps=5)
    turns: list[float] = []
    lock = threading.Lock()

    def take(_: int) -> None:
        try:
            turn = take_turn(trunk.pk)
            at = time.monotonic()
        finally:
            connection.close()
        if turn:
            with lock:
                turns.append(at + turn.in_s)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, range(40)))
    turns.sort()
    assert 20 <= len(turns) <= 26, "turns further away than five seconds are not given"
    for first in turns:
        assert sum(first <= turn < first + 0.97 for turn in turns) <= 5


def test_a_turn_is_taken_outside_of_transactions(line: Any) -> None:
    assert TrunkPace.objects.count() == 1
    with pytest.raises(RuntimeError, match="outside of transactions"):
        take_turn(line.grant.trunk_id)
