from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from calls.models import Call, CallEvent, Leg
from calls.services import finalize_call
from calls.services.journal import apply_entries
from calls.testing import JOB
from calls.tests import journal as j
from calls.tests.racing import race
from tenants.models import DefaultRate, OutboxEvent, Tenant, UsageRecord

Make = Callable[..., Call]
PRICES = {("llm", "input_token"): ("0.75", "1000000"), ("tts", "character"): ("0.05", "1000"), ("stt", "second"): ("0.006", "60")}


@pytest.fixture
def rates(db: None) -> None:
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    for (kind, unit), (price, per) in PRICES.items():
        what: dict[str, Any] = {"kind": kind, "provider": "acme", "model": "m1", "unit": unit, "source": "test"}
        DefaultRate.objects.create(**what, price=Decimal(price), per=Decimal(per), effective_from=begin)


def use(call: Call, **quantities: float) -> None:
    kinds = {"input_token": "llm", "character": "tts", "second": "stt"}
    entries = [j.usage(quantity, kind=kinds[unit], unit=unit) for unit, quantity in quantities.items()]
    apply_entries(call_id=call.pk, job_id=JOB, entries=entries)


def test_the_cost_is_the_sum_of_quantities_at_their_rates(make_call: Make, rates: None) -> None:
    call = make_call(status="ended")
    use(call, input_token=12_345, character=678, second=91.5)
    assert finalize_call(call_id=call.pk)
    call.refresh_from_db()
    exact = sum(
        record.quantity * Decimal(PRICES[record.kind, record.unit][0]) / Decimal(PRICES[record.kind, record.unit][1])
        for record in UsageRecord.objects.filter(subject_id=call.pk)
    )
    assert call.cost == round(exact, 6) == Decimal("0.052309")
    assert (call.currency, call.cost_missing) == ("USD", [])


def test_usage_without_a_price_is_named(make_call: Make, rates: None) -> None:
    call = make_call(status="ended")
    apply_entries(call_id=call.pk, job_id=JOB, entries=[j.usage(60, kind="stt", unit="second", provider="nobody")])
    finalize_call(call_id=call.pk)
    call.refresh_from_db()
    assert call.cost == 0
    assert call.cost_missing == ["nobody m1 (second): no price"]


def test_a_leg_whose_end_nobody_has_told_ends_with_its_call(make_call: Make) -> None:
    call = make_call(status="ended")
    began = call.ended_at - timedelta(minutes=1)
    for identity, known in (("callee", {}), ("target", {"ended_at": began, "end_reason": "hung_up"})):
        Leg.objects.create(call=call, identity=identity, role=identity, started_at=began, **known)
    assert finalize_call(call_id=call.pk)
    ends = dict(Leg.objects.values_list("identity", "end_reason"))
    assert (ends, Leg.objects.get(identity="callee").ended_at) == ({"callee": "call_ended", "target": "hung_up"}, call.ended_at)


def test_a_call_is_finalised_once_and_not_before_its_end(make_call: Make) -> None:
    call = make_call(status="in_progress")
    assert not finalize_call(call_id=call.pk)
    ended = make_call(status="ended")
    assert not finalize_call(call_id=ended.pk, job_id="job-2")
    assert [finalize_call(call_id=ended.pk, job_id=JOB), finalize_call(call_id=ended.pk)] == [True, False]
    assert CallEvent.objects.filter(kind="finalized").count() == 1
    assert OutboxEvent.objects.filter(topic="call.finalized").count() == 1


def test_four_processes_finalise_a_call_once(database_env: dict[str, str], make_call: Make) -> None:
    call = make_call(status="ended")
    body = 'return services.finalize_call(call_id=UUID(given["call"]))'
    assert sorted(race(database_env, body, processes=4, call=call.pk)) == [False, False, False, True]
    assert OutboxEvent.objects.filter(topic="call.finalized").count() == 1


def test_usage_that_comes_late_changes_the_cost(make_call: Make, rates: None) -> None:
    call = make_call(status="ended", finalized=True)
    assert call.cost == 0
    use(call, character=2000)
    use(call, character=2000)
    call.refresh_from_db()
    assert call.cost == Decimal("0.1")
    news = OutboxEvent.objects.get(topic="call.repriced").data
    assert (Decimal(news["cost_before"]), Decimal(news["cost"])) == (0, Decimal("0.1"))
    assert CallEvent.objects.filter(call=call, kind="repriced").count() == 1


def test_what_comes_late_is_priced_as_of_the_call(make_call: Make, rates: None) -> None:
    call = make_call(status="ended")
    use(call, character=1000)
    finalize_call(call_id=call.pk)
    later: dict[str, Any] = {"kind": "tts", "provider": "acme", "model": "m1", "unit": "character", "source": "dearer"}
    DefaultRate.objects.create(**later, price=Decimal(9), per=Decimal(1), effective_from=datetime.now(UTC))
    use(call, character=2000)
    call.refresh_from_db()
    assert call.cost == Decimal("0.1")


def test_subscribers_are_told_the_facts_of_the_moment(make_call: Make, rates: None, tenant: Tenant) -> None:
    call = make_call(status="ended")
    use(call, second=60)
    finalize_call(call_id=call.pk)
    told = OutboxEvent.objects.get(topic="call.finalized").data
    assert told == {
        "agent_id": str(call.agent_id),
        "kind": "simulated",
        "livemode": False,
        "disposition": "completed",
        "created_at": call.created_at.isoformat(),
        "seconds": call.duration_s,
        "cost": "0.006000",
        "currency": "USD",
    }
