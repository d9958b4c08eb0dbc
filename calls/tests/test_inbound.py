"""People who call in, without a server: who answers, and what is in the ledger."""

from typing import Any

import pytest

from agents.testing import make_agent
from calls.models import Call, CallEvent, Lead, Leg, LineSlot, PhoneNumber, ProviderEvent
from calls.services import claim_call, end_call, people
from calls.services.inbound import ALL_BUSY, NOT_IN_SERVICE, SUSPENDED, Ringing, receive_call
from calls.services.numbers import NOBODY, change_number, release_number
from calls.services.trunks import grant_trunk
from calls.testing import make_host, make_number, make_trunk
from tenants import lifecycle
from tenants.models import Tenant
from tenants.scope import tenant_scope

CALLER = "+12025550116"


def ringing(room: str = "in_1", caller: str = CALLER) -> Ringing:
    return Ringing(room=room, caller=caller, called="+12025550000", carrier_id="SCL_1", identity=f"sip_{caller}")


@pytest.fixture
def number(tenant: Tenant) -> PhoneNumber:
    with tenant_scope(tenant):
        return make_number(agent=make_agent())


def test_a_call_is_in_the_ledger_before_it_is_answered(number: PhoneNumber, tenant: Tenant) -> None:
    answer = receive_call(number_id=number.pk, ringing=ringing())
    with tenant_scope(tenant):
        call = Call.objects.get()
        assert (call.pk, call.status, call.phone, call.number) == (answer.call_id, "ringing", CALLER, number)
        assert (Leg.objects.get().carrier_id, LineSlot.objects.get().role) == ("SCL_1", "caller")
    assert claim_call(call_id=call.pk, job_id="job", host_id=make_host().pk)


def test_asking_again_for_a_room_gives_the_same_call(number: PhoneNumber) -> None:
    first = receive_call(number_id=number.pk, ringing=ringing())
    assert receive_call(number_id=number.pk, ringing=ringing()) == first
    assert Call.all_objects.count() == 1
    end_call(call_id=first.call_id, disposition="completed", ended_reason="caller_hung_up")
    assert receive_call(number_id=number.pk, ringing=ringing()).call_id is None


@pytest.mark.parametrize("gone", [True, False])
def test_a_number_that_is_nobodys(number: PhoneNumber, tenant: Tenant, gone: bool) -> None:
    with tenant_scope(tenant):
        release_number(number=number)
    answer = receive_call(number_id=number.pk if gone else None, ringing=ringing())
    assert (answer.sentence, answer.call_id) == (NOT_IN_SERVICE, None)
    receive_call(number_id=None, ringing=ringing())
    event = ProviderEvent.objects.get()
    assert (Call.all_objects.count(), event.kind, event.room) == (0, "stray_call", "in_1")
    assert event.body == {"called": "+12025550000", "caller": "+*********16", "why": "nobody_has_the_number"}
    assert CALLER not in event.event_id
    receive_call(number_id=None, ringing=ringing("in_1" + "x" * 200))
    receive_call(number_id=None, ringing=ringing("in_1" + "x" * 201))
    assert ProviderEvent.objects.count() == 3


def test_a_suspended_account(number: PhoneNumber, tenant: Tenant) -> None:
    lifecycle.advance(tenant=tenant, to=Tenant.Status.SUSPENDED)
    assert receive_call(number_id=number.pk, ringing=ringing()).sentence == SUSPENDED
    call = Call.all_objects.get()
    assert (call.disposition, call.ended_reason, call.answered_at) == ("blocked", "suspended", None)


def test_a_host_on_its_last_place_and_a_trunk_without_a_line(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        number = make_number(agent=make_agent(), trunk=make_trunk(channels=1))
    assert receive_call(number_id=number.pk, ringing=ringing("in_1"), is_full=True).sentence == ALL_BUSY
    assert receive_call(number_id=number.pk, ringing=ringing("in_2")).call_id
    assert receive_call(number_id=number.pk, ringing=ringing("in_3")).sentence == ALL_BUSY
    ends = Call.all_objects.order_by("room").values_list("room", "ended_reason")
    assert list(ends) == [("in_1", "no_capacity"), ("in_2", ""), ("in_3", "no_capacity")]
    assert LineSlot.all_objects.count() == 1


def test_outbound_calls_never_take_the_lines_kept_for_inbound(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        trunk = make_trunk(channels=1)
        grant_trunk(trunk=trunk, channels=1, reserved_inbound=1)
        number = make_number(agent=make_agent(), trunk=trunk)
    assert receive_call(number_id=number.pk, ringing=ringing()).call_id


def test_nobody_and_closed_hours_speak_a_sentence(number: PhoneNumber, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        hours = [{"weekdays": [1], "starts_at": "00:00", "ends_at": "00:01"}]
        change_number(number=number, hours=hours, closed_action="sentence", closed_sentence="We are closed.")
        silent = make_number()
    assert receive_call(number_id=number.pk, ringing=ringing()).sentence == "We are closed."
    assert receive_call(number_id=silent.pk, ringing=ringing("in_2")).sentence == NOBODY
    assert list(Call.all_objects.values_list("disposition", "ended_reason")) == [("completed", "closed")]


def test_outside_the_hours_it_is_put_through(number: PhoneNumber, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        hours = [{"weekdays": [1], "starts_at": "00:00", "ends_at": "00:01"}]
        change_number(number=number, hours=hours, closed_action="forward", closed_forward_to="+12025550199")
    answer = receive_call(number_id=number.pk, ringing=ringing())
    assert (answer.forward_to, answer.call_id) == ("+12025550199", Call.all_objects.get().pk)


def test_what_is_known_of_the_caller_comes_along(number: PhoneNumber, tenant: Tenant, other_tenant: Tenant) -> None:
    for each, name in ((tenant, "Ann Lee"), (other_tenant, "Somebody else's Ann")):
        with tenant_scope(each):
            people.create_lead(lead=Lead(phone=CALLER, name=name))
    first = receive_call(number_id=number.pk, ringing=ringing())
    end_call(call_id=first.call_id, disposition="completed", ended_reason="caller_hung_up")
    receive_call(number_id=number.pk, ringing=ringing("in_2"))
    context = Call.all_objects.get(room="in_2").context
    assert context["name"] == "Ann Lee"
    assert [call["disposition"] for call in context["earlier_calls"]] == ["completed"]


def test_a_withheld_number_is_nobodys_history(number: PhoneNumber) -> None:
    receive_call(number_id=number.pk, ringing=ringing(caller=""))
    call = Call.all_objects.get()
    assert (call.phone, call.context) == ("", {})


def test_missing_variables_are_empty_and_do_not_turn_callers_away(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        agent = make_agent(settings={"variables": [{"name": "plan", "required": True}]})
        number = make_number(agent=agent)
    assert receive_call(number_id=number.pk, ringing=ringing()).call_id
    assert Call.all_objects.get().variables == {"plan": None}


def test_a_hook_that_cannot_be_reached_is_told_and_changes_nothing(number: PhoneNumber, tenant: Tenant, settings: Any) -> None:
    settings.VP_OUTBOUND_LOOPBACK = True
    with tenant_scope(tenant):
        change_number(number=number, hook_url="http://127.0.0.1:9/")
    assert receive_call(number_id=number.pk, ringing=ringing()).call_id
    told = CallEvent.all_objects.get(kind="inbound_hook").data
    assert told["problem"]
    assert told["status"] is None
