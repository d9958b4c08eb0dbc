"""A line and a leg for somebody who may take a call over, and the call that is theirs."""

from typing import Any
from uuid import uuid4

import pytest

from agents.models import TransferTarget
from agents.transfers import Target
from calls.clock import database_now
from calls.models import Call, CallEvent, Leg, LineSlot, SipTrunk, Supervision, TrunkGrant
from calls.services.journal import apply_entries
from calls.services.people import suppress
from calls.services.targets import change_target, create_target, delete_target
from calls.services.transferring import NoWay, Way, begin_transfer, give_line_back, hand_over, supervisors_of
from calls.telephony.names import supervisor_identity
from calls.testing import JOB, make_call, make_number
from tenants.models import User
from tenants.scope import tenant_scope

PHONE = "+12025550151"


@pytest.fixture
def call(make_tenant: Any) -> Any:
    """Somebody has called in, and is being talked to."""
    with tenant_scope(make_tenant(timezone="America/New_York")):
        number = make_number()
        SipTrunk.objects.update(livekit_id="ST_1")
        call = make_call(kind="web", status="in_progress")
        phone = {"kind": "inbound", "phone": "+12025550141", "number": number, "grant": number.grant, "room": "in_x"}
        Call.objects.filter(pk=call.pk).update(transport="livekit", **phone)
        LineSlot.objects.create(call=call, grant=number.grant, role="caller", created_at=database_now())
        create_target(name="Ann", phone=PHONE)
        call.refresh_from_db()
        yield call


def begin(call: Call, *, job_id: str = JOB, identity: str = "target-1", target: Target | None = None) -> Way | NoWay:
    target = target or TransferTarget.objects.get(name="Ann").as_target()
    return begin_transfer(call_id=call.pk, job_id=job_id, identity=identity, target=target)


def lines(call: Call) -> list[str]:
    return sorted(LineSlot.objects.filter(call=call).values_list("role", flat=True))


def test_somebody_is_dialed_by_the_calls_own_number_and_trunk(call: Call) -> None:
    way = begin(call)
    assert isinstance(way, Way)
    assert (way.trunk, way.caller_id, way.room) == ("ST_1", call.number.phone, "in_x")
    assert lines(call) == ["caller", "target"]
    leg = Leg.objects.get(call=call)
    assert (leg.role, leg.phone, leg.identity, leg.ended_at) == ("target", PHONE, "target-1", None)


def test_the_next_one_has_the_line_of_the_one_before(call: Call) -> None:
    TrunkGrant.objects.update(channels=2, reserved_inbound=0)
    assert isinstance(begin(call), Way)
    give_line_back(call_id=call.pk)
    assert lines(call) == ["caller"]
    assert isinstance(begin(call, identity="target-2"), Way)
    assert lines(call) == ["caller", "target"]
    assert Leg.objects.filter(call=call).count() == 2


def test_without_a_line_nobody_is_dialed_and_no_leg_written(call: Call) -> None:
    TrunkGrant.objects.update(channels=1, reserved_inbound=0)
    found = begin(call)
    assert isinstance(found, NoWay)
    assert (found.reason, Leg.objects.count(), lines(call)) == ("no_free_line", 0, ["caller"])


def test_only_the_job_that_talks_to_the_caller_dials(call: Call) -> None:
    assert begin(call, job_id="another") == NoWay("call_over", "The call had ended before anybody was dialed.")
    Call.objects.filter(pk=call.pk).update(grant=None)
    assert isinstance(found := begin(call), NoWay)
    assert found.reason == "no_phone"


def test_nobody_is_dialed_without_a_number_or_over_a_trunk_that_is_not_there(call: Call) -> None:
    SipTrunk.objects.update(livekit_id="")
    assert isinstance(found := begin(call), NoWay)
    assert (found.reason, Leg.objects.count(), lines(call)) == ("trunk_not_ready", 0, ["caller"])
    Call.objects.filter(pk=call.pk).update(number=None)
    assert isinstance(found := begin(call), NoWay)
    assert found.reason == "no_phone"


def test_who_was_switched_off_suppressed_or_deleted_a_moment_ago_is_not_dialed(call: Call) -> None:
    row = TransferTarget.objects.get()
    ann = row.as_target()
    change_target(target=row, enabled=False)
    assert isinstance(found := begin(call, target=ann), NoWay)
    assert (found.reason, lines(call), Leg.objects.count()) == ("switched_off", ["caller"], 0)
    change_target(target=row, enabled=True)
    suppress(phone=PHONE, source="customer")
    assert isinstance(found := begin(call, target=ann), NoWay)
    assert (found.reason, lines(call), Leg.objects.count()) == ("recipient_suppressed", ["caller"], 0)
    delete_target(target=row)
    assert isinstance(found := begin(call, target=ann), NoWay)
    assert (found.reason, lines(call), Leg.objects.count()) == ("deleted", ["caller"], 0)


def test_a_job_that_asks_again_writes_no_second_leg(call: Call) -> None:
    for _ in range(2):
        assert isinstance(begin(call), Way)
        give_line_back(call_id=call.pk)
    assert Leg.objects.filter(call=call).count() == 1


def test_only_the_calls_own_line_is_given_back_and_told_of(
    call: Call, sent_messages: Any, django_capture_on_commit_callbacks: Any
) -> None:
    other = make_call(kind="web", status="in_progress")
    LineSlot.objects.create(call=other, grant=call.grant, role="target", created_at=database_now())
    begin(call)
    for told in (1, 1):
        with django_capture_on_commit_callbacks(execute=True):
            give_line_back(call_id=call.pk)
        assert len(sent_messages()) == told
    assert (lines(call), lines(other)) == (["caller"], ["target"])


def test_two_people_have_the_call_once_it_is_handed_over(call: Call) -> None:
    begin(call)
    assert not hand_over(call_id=call.pk, job_id="another")
    assert hand_over(call_id=call.pk, job_id=JOB)
    assert not hand_over(call_id=call.pk, job_id=JOB)
    call.refresh_from_db()
    assert (call.status, lines(call)) == ("handed_over", ["caller", "target"])
    assert CallEvent.objects.filter(call=call, kind="handed_over").count() == 1
    assert isinstance(begin(call), NoWay)


def test_the_journal_tells_of_a_call_that_was_handed_over(call: Call) -> None:
    told = {"op": "status", "to": "handed_over", "at": database_now().isoformat()}
    for _ in range(2):
        assert apply_entries(call_id=call.pk, job_id=JOB, entries=[told, {"op": "finalize", "at": told["at"]}]).refused == 0
    call.refresh_from_db()
    assert (call.status, call.finalized_at) == ("handed_over", None)


def test_staff_in_the_room_are_those_who_have_not_left(call: Call) -> None:
    now = database_now()
    staff = User.objects.create_user(f"{uuid4().hex}@example.com", is_staff=True)
    made = {"call": call, "mode": "listen", "actor": staff, "reason": "x", "created_at": now}
    here = Supervision.objects.create(**made, expires_at=now.replace(year=now.year + 1))
    Supervision.objects.create(**made, expires_at=now.replace(year=now.year + 1), joined_at=now, left_at=now)
    elsewhere = made | {"call": make_call(kind="web", status="in_progress")}
    Supervision.objects.create(**elsewhere, expires_at=now.replace(year=now.year + 1))
    assert supervisors_of(call.pk) == [supervisor_identity(here.pk)]
