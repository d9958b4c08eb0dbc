"""What the telephone costs: each leg from its answer to its end, as the carrier bills it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F

from agents.testing import make_agent
from calls.carriers import PRESETS
from calls.clock import database_now
from calls.models import Call, Leg, PhoneNumber, SipTrunk
from calls.selectors import cost_lines, usage_totals
from calls.services import finalize_call
from calls.services.inbound import Ringing, note_heard, receive_call
from calls.services.journal import apply_entries
from calls.services.minutes import billed_s
from calls.services.trunks import grant_trunk
from calls.testing import JOB, make_call, make_number, make_trunk
from tenants.models import Tenant, TenantRate, UsageRecord
from tenants.scope import tenant_scope

US, GERMAN, TOLL_FREE = "+12025550143", "+4930901820", "+18005550123"


@pytest.fixture
def trunk(scope: Tenant, default_rates: None, settings: Any) -> SipTrunk:
    settings.LIVEKIT_URL = "ws://127.0.0.1:7880"
    return make_trunk(billed_as="simulated")


def talked(trunk: SipTrunk, *seconds: float | None, phone: str = US, kind: str = "outbound", ours: str = "+12025550177") -> Call:
    """A call that ended, with a leg for each of `seconds`: so long after its answer it ended; None never answered."""
    number = PhoneNumber.objects.filter(phone=ours).first() or make_number(trunk=trunk, phone=ours)
    call, began = make_call(status="ended"), database_now() - timedelta(hours=1)
    fields = {"kind": kind, "transport": "livekit", "room": f"room-{call.pk}", "phone": phone, "livemode": True}
    times = {"created_at": began, "answered_at": began, "ended_at": began + timedelta(minutes=10)}
    Call.objects.filter(pk=call.pk).update(number=number, grant=number.grant, **fields, **times)
    roles = ["caller" if kind == "inbound" else "callee", "target", "target"]
    for index, length in enumerate(seconds):
        answered = None if length is None else began
        ended = began + timedelta(seconds=length or 0)
        leg = {"role": roles[index], "identity": f"leg {index}", "phone": phone, "started_at": began, "end_reason": "hung_up"}
        Leg.objects.create(call=call, answered_at=answered, ended_at=ended, **leg)
    return call


def finalized(call: Call) -> Call:
    assert finalize_call(call_id=call.pk)
    call.refresh_from_db()
    return call


def lines() -> list[tuple[str, str, str, Decimal, Decimal | None]]:
    rows = UsageRecord.objects.order_by("kind", "model", "quantity")
    return list(rows.values_list("kind", "provider", "model", "quantity", "cost"))


@pytest.mark.parametrize(
    ("seconds", "minimum_s", "step_s", "billed"),
    [(0, 60, 60, 60), (60, 60, 60, 60), (60.1, 60, 60, 120), (12.2, 1, 1, 13), (12, 30, 6, 30), (31, 30, 6, 36), (-1, 1, 1, 1)],
)
def test_carriers_bill_a_first_span_then_steps(seconds: float, minimum_s: int, step_s: int, billed: int) -> None:
    assert billed_s(seconds, minimum_s=minimum_s, step_s=step_s) == billed


def test_each_answered_leg_is_billed_as_its_trunk_is(trunk: SipTrunk) -> None:
    call = finalized(talked(trunk, 61, None, 5))
    assert lines() == [
        ("telephony", "simulated", "outbound US", 60, Decimal("0.01")),
        ("telephony", "simulated", "outbound US", 120, Decimal("0.02")),
    ]
    assert (call.cost, call.currency, call.cost_missing) == (Decimal("0.03"), "USD", [])
    SipTrunk.objects.update(billing_minimum_s=1, billing_step_s=1)
    assert finalized(talked(trunk, 61)).cost == Decimal("0.010167")


def test_callers_are_billed_by_the_number_they_called(trunk: SipTrunk) -> None:
    finalized(talked(trunk, 30, kind="inbound", phone=GERMAN))
    assert lines() == [("telephony", "simulated", "inbound US", 60, Decimal("0.005"))]


def test_a_withheld_number_and_a_toll_free_one(trunk: SipTrunk) -> None:
    finalized(talked(trunk, 30, kind="inbound", phone="", ours=TOLL_FREE))
    assert [line[2] for line in lines()] == ["inbound toll_free US"]


def test_a_place_has_its_own_price_and_else_the_direction_has(trunk: SipTrunk) -> None:
    rate = {"kind": "telephony", "provider": "simulated", "unit": "second", "per": 60, "source": "contract"}
    TenantRate.objects.create(model="outbound DE", price=1, effective_from=database_now() - timedelta(days=9), **rate)
    assert finalized(talked(trunk, 60, phone=GERMAN)).cost == 1
    assert finalized(talked(trunk, 60, phone=US)).cost == Decimal("0.01")


def test_minutes_without_a_price_are_a_warning_and_never_free_in_silence(trunk: SipTrunk) -> None:
    SipTrunk.objects.update(billed_as="", carrier="vonage")
    call = finalized(talked(trunk, 60))
    assert (call.cost, call.cost_missing) == (0, ["vonage outbound US (second): no price"])
    assert lines() == [("telephony", "vonage", "outbound US", 60, None)]


def test_a_carrier_has_a_price_only_where_one_is_known(trunk: SipTrunk) -> None:
    SipTrunk.objects.update(billed_as="", carrier="twilio")
    assert finalized(talked(trunk, 60)).cost == Decimal("0.0034")
    assert finalized(talked(trunk, 60, phone=GERMAN)).cost_missing == ["twilio outbound DE (second): no price"]


@pytest.mark.parametrize(("url", "cost"), [("wss://us.livekit.cloud", "0.014"), ("wss://livekit.cloud.example.com", "0.01")])
def test_livekit_cloud_bills_minutes_too(trunk: SipTrunk, settings: Any, url: str, cost: str) -> None:
    settings.LIVEKIT_URL = url
    assert finalized(talked(trunk, 45)).cost == Decimal(cost)


def test_a_leg_that_nobody_ended_ended_with_the_call(trunk: SipTrunk) -> None:
    call = talked(trunk, 1)
    Leg.objects.update(ended_at=None, end_reason="")
    finalized(call)
    assert lines()[0][3] == 600


@pytest.mark.parametrize("kind", ["simulated", "chat"])
def test_calls_without_a_phone_have_no_minutes(trunk: SipTrunk, kind: str) -> None:
    call = make_call(status="ended", kind=kind)
    now = database_now()
    Leg.objects.create(call=call, role="caller", identity="x", started_at=now, answered_at=now)
    finalized(call)
    assert lines() == []


def test_a_leg_is_billed_once_also_when_its_times_come_late(trunk: SipTrunk) -> None:
    call = talked(trunk, None)
    assert finalized(call).cost == 0
    leg = Leg.objects.get()
    late = {"op": "leg", "identity": leg.identity, "answered_at": leg.started_at.isoformat()}
    Leg.objects.update(ended_at=F("started_at") + timedelta(seconds=90))
    for _ in range(2):
        apply_entries(call_id=call.pk, job_id=JOB, entries=[late])
    call.refresh_from_db()
    assert (call.cost, len(lines())) == (Decimal("0.02"), 1)


def test_minutes_are_in_the_lines_and_in_the_totals(trunk: SipTrunk) -> None:
    call = finalized(talked(trunk, 61))
    assert [(line.kind, line.quantity, line.cost) for line in cost_lines(call)] == [("telephony", 120, Decimal("0.02"))]
    since = database_now() - timedelta(days=1)
    (total,) = usage_totals(since=since, until=database_now(), group_by="kind", with_tests=False)
    assert dict(total.costs) == {"USD": Decimal("0.02")}


def test_a_customer_on_its_agencys_trunk_is_billed_as_that(default_rates: None, make_tenant: Callable[..., Tenant]) -> None:
    agency = make_tenant()
    customer = make_tenant(agency=agency)
    with tenant_scope(agency):
        trunk = make_trunk(billed_as="simulated", billing_minimum_s=6, billing_step_s=6)
        grant = grant_trunk(trunk=trunk, channels=2, customer=customer)
    with tenant_scope(customer):
        make_number(grant=grant, phone="+12025550177")
        assert finalized(talked(trunk, 13)).cost == Decimal("0.003")


def test_a_sentence_that_was_heard_is_billed(trunk: SipTrunk) -> None:
    hours = [{"weekdays": [1], "starts_at": "00:00", "ends_at": "00:01"}]
    number = make_number(trunk=trunk, agent=make_agent(), hours=hours, closed_action="sentence", closed_sentence="Closed.")
    receive = {"caller": US, "called": number.phone, "carrier_id": "SCL_1", "identity": "sip_1"}
    answer = receive_call(number_id=number.pk, ringing=Ringing(room="in_1", **receive), is_full=True)
    assert answer.sentence
    now = database_now()
    note_heard(room="in_1", answered_at=now, ended_at=now + timedelta(seconds=8))
    finalized(Call.objects.get())
    assert lines() == [("telephony", "simulated", "inbound US", 60, Decimal("0.005"))]
    note_heard(room="in_unknown", answered_at=now, ended_at=now)


def test_a_new_trunk_is_billed_as_its_carrier_does(scope: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "telnyx", replace(PRESETS["telnyx"], billing_minimum_s=30, billing_step_s=6))  # type: ignore[arg-type]
    made = {carrier: make_trunk(carrier=carrier) for carrier in ("twilio", "telnyx")}
    assert {carrier: (row.billing_minimum_s, row.billing_step_s) for carrier, row in made.items()} == {
        "twilio": (60, 60),
        "telnyx": (30, 6),
    }
    assert make_trunk(carrier="twilio", billing_step_s=1).billing_step_s == 1
