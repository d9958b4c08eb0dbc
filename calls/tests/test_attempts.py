"""How often one phone may be called."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from agents.testing import make_agent
from calls import lifecycle
from calls.clock import database_now
from calls.errors import GateRefusedError
from calls.models import Call, CallingWindow, Leg, PhoneNumber, SipTrunk
from calls.services import end_call, people
from calls.services.dialing import Dial, NotDialed, begin_dialing
from calls.services.gates import Verdict, check_person
from calls.services.outbound import place_outbound
from calls.services.placing import take_turns
from calls.testing import make_number
from calls.tests.test_outbound import claimed, place
from tenants.models import AuditEvent, Tenant, TenantLimits
from tenants.scope import tenant_scope

PHONE = "+12025550143"
NOON = datetime(2026, 11, 18, 17, tzinfo=UTC)  # in New York
TOO_OFTEN = "recipient_called_too_often"


@pytest.fixture
def line(make_tenant: Callable[..., Tenant]) -> Any:
    """A tenant in scope with a number that LiveKit knows, that may call at any hour."""
    tenant = make_tenant(timezone="America/New_York")
    with tenant_scope(tenant):
        yield open_line()


def open_line() -> PhoneNumber:
    number = make_number()
    SipTrunk.objects.update(livekit_id="ST_1")
    hours = {"weekdays": [1, 2, 3, 4, 5, 6, 7], "starts_at": time(0), "ends_at": time(23, 59, 59), "on_holidays": True}
    people.create_window(window=CallingWindow(**hours))
    return number


def called(at: datetime, *, how: tuple[str, str] = ("no_answer", "no_answer"), dialed: bool = True, **fields: Any) -> Call:
    """A call to PHONE that rang at `at` and is over."""
    call = place_outbound(to=PHONE, agent=make_agent(), kind="outbound", override_gates="for the test")
    if dialed:
        Leg.objects.create(call=call, identity="callee", role="callee", phone=PHONE, started_at=at)
    end_call(call_id=call.pk, disposition=how[0], ended_reason=how[1])
    Call.objects.filter(pk=call.pk).update(created_at=at, ended_at=at, **fields)
    return call


def check(now: datetime = NOON, **options: Any) -> Verdict:
    return check_person(**{"phone": PHONE, "now": now, "requires_consent": False} | options)


def ago(**span: float) -> datetime:
    return NOON - timedelta(**span)


def test_a_phone_is_called_three_times_in_a_rolling_day(line: Any) -> None:
    for hours in (23, 20, 1):
        assert check().allowed
        called(ago(hours=hours))
    verdict = check()
    assert (verdict.code, verdict.retry_at) == (TOO_OFTEN, NOON + timedelta(hours=1))
    assert "3 calls in 24 hours" in verdict.sentence
    assert "2026-11-18T18:00:00Z" in verdict.sentence
    assert check(NOON + timedelta(hours=1)).allowed
    assert check(phone="+12025550144").allowed


def test_a_phone_is_called_seven_times_in_a_rolling_week(line: Any) -> None:
    for days in (6.9, 5, 4, 3, 2, 1.5, 0.5):
        called(ago(days=days))
    verdict = check()
    assert (verdict.code, verdict.retry_at) == (TOO_OFTEN, ago(days=6.9) + timedelta(days=7))
    assert "7 calls in 7 days" in verdict.sentence


def test_both_limits_hold_and_the_later_end_counts(line: Any) -> None:
    TenantLimits.objects.update(calls_per_phone_day=1, calls_per_phone_week=2)
    called(ago(days=2))
    called(ago(hours=1))
    verdict = check()
    assert "1 call in 24 hours and 2 calls in 7 days" in verdict.sentence
    assert verdict.retry_at == NOON + timedelta(days=5)


def test_a_limit_that_was_lowered_counts_the_newest_calls(line: Any) -> None:
    for hours in (9, 5, 2):
        called(ago(hours=hours))
    TenantLimits.objects.update(calls_per_phone_day=2)
    assert check().retry_at == ago(hours=5) + timedelta(hours=24)


def test_it_can_pass_only_when_the_window_is_open_too(line: Any) -> None:
    CallingWindow.objects.update(starts_at=time(9), ends_at=time(18))
    TenantLimits.objects.update(calls_per_phone_day=1)
    called(ago(hours=16))  # 20:00 on the day before
    assert check().retry_at == datetime(2026, 11, 19, 14, tzinfo=UTC)


def test_a_limit_of_none_never_passes(line: Any) -> None:
    TenantLimits.objects.update(calls_per_phone_day=0)
    verdict = check()
    assert (verdict.code, verdict.retry_at) == (TOO_OFTEN, None)


@pytest.mark.parametrize(
    ("how", "fields", "counts"),
    [
        (("busy", "busy"), {}, True),
        (("unknown", "no_response"), {}, True),
        (("failed", "worker_lost"), {}, True),
        (("completed", "end_call"), {}, True),
        (("failed", "carrier_error"), {}, False),
        (("failed", "cps_missed"), {}, False),
        (("failed", "trunk_credentials"), {}, False),
        (("busy", "busy"), {"livemode": False}, False),
    ],
)
def test_what_counts_is_what_may_have_rung(line: Any, how: tuple[str, str], fields: dict[str, Any], counts: bool) -> None:
    TenantLimits.objects.update(calls_per_phone_day=1)
    called(ago(hours=1), how=how, **fields)
    assert check().allowed is not counts


def test_a_phone_that_rang_was_called_whatever_came_of_it(line: Any) -> None:
    TenantLimits.objects.update(calls_per_phone_day=1)
    called(ago(hours=1), how=("canceled", "canceled_by_user"), dialed=False)
    call = called(ago(hours=1), how=("failed", "carrier_error"))
    assert check().allowed
    Leg.objects.filter(call=call).update(ringing_at=ago(hours=1))
    assert check().code == TOO_OFTEN


def test_a_call_in_flight_counts_against_the_next_and_not_against_itself(line: Any) -> None:
    TenantLimits.objects.update(calls_per_phone_day=1)
    call = claimed(place(override_gates=""))
    with pytest.raises(GateRefusedError, match="a call to"):
        place(override_gates="")
    assert isinstance(begin_dialing(call_id=call.pk, job_id="job"), Dial)
    assert check_person(phone=PHONE, now=database_now(), requires_consent=False, call=call).allowed
    end_call(call_id=call.pk, disposition="busy", ended_reason="busy")
    with pytest.raises(GateRefusedError) as refused:
        place(override_gates="")
    assert refused.value.code == TOO_OFTEN


def test_test_calls_are_not_limited(line: Any) -> None:
    TenantLimits.objects.update(calls_per_phone_day=1)
    called(ago(hours=1))
    assert check(livemode=False).allowed
    assert place(override_gates="", livemode=False)


def test_calls_of_another_tenant_are_not_counted(make_tenant: Callable[..., Tenant]) -> None:
    mine, theirs = (make_tenant(timezone="America/New_York") for _ in range(2))
    for tenant in (mine, theirs):
        with tenant_scope(tenant):
            open_line()
            TenantLimits.objects.update(calls_per_phone_day=1)
    with tenant_scope(theirs):
        called(ago(hours=1))
        assert check().code == TOO_OFTEN
    with tenant_scope(mine):
        assert check().allowed


def test_it_is_asked_again_at_dialing(line: Any) -> None:
    call = claimed(place(override_gates=""))
    TenantLimits.objects.update(calls_per_phone_day=0)
    refused = begin_dialing(call_id=call.pk, job_id="job")
    assert isinstance(refused, NotDialed)
    assert (refused.disposition, refused.reason) == ("blocked", TOO_OFTEN)


def test_who_may_override_gates_calls_once_more(line: Any) -> None:
    TenantLimits.objects.update(calls_per_phone_day=0)
    call = claimed(place(override_gates="She asked us to ring again"))
    assert call.overridden_gates == [TOO_OFTEN]
    assert AuditEvent.objects.get(action="gates.overridden").data == {TOO_OFTEN: True}
    assert isinstance(begin_dialing(call_id=call.pk, job_id="job"), Dial)


@pytest.mark.django_db(transaction=True)
def test_a_call_that_was_made_while_the_gates_were_asked_counts(line: Any) -> None:
    TenantLimits.objects.update(calls_per_phone_day=1)
    tenant, found, agent = line.tenant, [], make_agent()

    def place_too() -> None:
        try:
            with tenant_scope(tenant):
                found.append(place(override_gates="", agent=agent))
        except GateRefusedError as refused:
            found.append(refused.code)
        finally:
            connection.close()

    other = threading.Thread(target=place_too)
    with transaction.atomic():
        take_turns()
        other.start()
        other.join(1)
        call = place(override_gates="", agent=agent)
        Leg.objects.create(call=call, identity="callee", role="callee", phone=PHONE, started_at=database_now())
        lifecycle.end(call_id=call.pk, disposition="busy", ended_reason="busy", at=database_now())
    other.join(20)
    assert found == [TOO_OFTEN]


@pytest.mark.parametrize("livemode", [True, False])
def test_the_api_says_until_when_a_phone_is_left_alone(line: Any, make_api: Any, livemode: bool) -> None:
    TenantLimits.objects.update(calls_per_phone_day=1)
    agent = make_agent()
    called(database_now() - timedelta(hours=23))
    api = make_api(line.tenant, livemode=livemode)
    asked, placed = api.post("gates/check", {"to": PHONE}), api.post("calls", {"agent_id": agent.public_id, "to": PHONE})
    assert (asked.json()["allowed"], placed.status_code) == ((False, 403) if livemode else (True, 201))
    if livemode:
        assert asked.json()["code"] == placed.json()["code"] == TOO_OFTEN
        assert 3500 < int(placed["Retry-After"]) <= 3601
