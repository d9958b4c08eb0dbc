"""Handing callers over: who is tried in which order, and what the model is told."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from agents.models import TransferTarget
from agents.transfers import Target, TransferPolicy
from calls.services.people import suppress
from calls.services.targets import change_target, create_target
from tenants.models import Tenant, TenantLimits
from tenants.scope import tenant_scope
from voice_worker.handing import HandOver, Tried
from voice_worker.reaching import NobodyHereError, People, hand_over_entry, opens_at, plan
from voice_worker.snapshot import CallSnapshot, load_snapshot
from voice_worker.tests.calling import make_job
from voice_worker.tools.base import Result, Use
from voice_worker.tools.hand_over_to_person import use
from voiceplatform.lib.ids import from_public_id, to_public_id

MONDAY = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
MORNINGS = [{"weekdays": [1, 2, 3, 4, 5], "starts_at": "09:00", "ends_at": "12:00"}]
GIVEN = {"reason": "complaint", "target": "Sales", "summary": "Sam is unhappy with a bill."}


def target(name: str, number: int, **fields: Any) -> Target:
    return Target(id=to_public_id("tgt", UUID(int=number)), name=name, phone=f"+1212555012{number}", **fields)


DESK, SALES = target("Desk", 1, priority=1), target("Sales", 2, priority=5)
DOCTOR = target("Doctor", 3, priority=3, hours=MORNINGS, zone="America/New_York")
POLICY = TransferPolicy(targets=[SALES, DOCTOR, DESK])


def tried(outcome: Any, *targets: Target) -> HandOver:
    return HandOver(joined=None, tried=[Tried(each, outcome) for each in targets])


class Desk:
    """What the tool sees of a call."""

    def __init__(self, done: HandOver | Exception) -> None:
        self.done = done
        self.asked: dict[str, str] = {}

    async def hand_over(self, **asked: str) -> HandOver:
        self.asked = asked
        if isinstance(self.done, Exception):
            raise self.done
        return self.done


async def used(done: HandOver | Exception, **given: str) -> tuple[Result, dict[str, str]]:
    desk = Desk(done)
    result = await use({**GIVEN, **given}, cast(Use, SimpleNamespace(desk=desk)))
    return result, desk.asked


class Hands:
    def __init__(self) -> None:
        self.targets: list[Target] = []

    async def hand_over(self, *, targets: Sequence[Target], reason: str, summary: str) -> HandOver:
        self.targets = list(targets)
        return HandOver(joined=targets[0], tried=[Tried(targets[0], "joined")])


@pytest.fixture
def inbound(caller_tenant: Tenant) -> CallSnapshot:
    """A call from +12125550999, which may be handed to people in the States."""
    snapshot = load_snapshot(make_job(caller_tenant).call_id)
    with tenant_scope(caller_tenant):
        TenantLimits.objects.update(allowed_countries=["US"])
        for each in POLICY.targets:
            TransferTarget(pk=from_public_id("tgt", each.id), name=each.name, phone=each.phone).save(force_insert=True)
    return replace(snapshot, transfers=POLICY, phone="+12125550999", kind="inbound")


@pytest.mark.parametrize(
    ("chosen", "order"),
    [
        ("Sales", ["Sales", "Desk", "Doctor"]),
        ("", ["Desk", "Doctor", "Sales"]),
        ("Doctor", ["Doctor", "Desk", "Sales"]),
    ],
)
def test_the_chosen_one_is_first_and_the_others_follow_by_priority(chosen: str, order: list[str]) -> None:
    made = plan(POLICY, chosen=chosen, own_phone="", refused=(), at=MONDAY)
    assert ([each.name for each in made.targets], made.skipped) == (order, ())


def test_who_is_closed_refused_or_the_caller_is_skipped() -> None:
    evening = MONDAY.replace(hour=23)
    made = plan(POLICY, chosen="Doctor", own_phone=DESK.phone, refused={SALES.id}, at=evening)
    assert made.targets == ()
    assert list(made.skipped) == [Tried(DOCTOR, "closed"), Tried(DESK, "failed"), Tried(SALES, "failed")]


def test_hours_are_read_on_the_targets_own_clock() -> None:
    at = opens_at(DOCTOR, at=MONDAY.replace(hour=23))
    assert at is not None
    assert at.isoformat() == "2026-01-06T09:00:00-05:00"
    never = DOCTOR.model_copy(update={"hours": []})
    assert opens_at(never, at=MONDAY) is None


async def test_whoever_goes_by_priority_tries_the_chosen_one_first(inbound: CallSnapshot) -> None:
    hands = Hands()
    await People(inbound).reach(hands, chosen="Sales", reason="other", summary="")
    by_priority = sorted(hands.targets, key=lambda each: each.priority)
    assert by_priority[0].name == "Sales"
    assert {each.name for each in hands.targets} >= {"Sales", "Desk"}


@pytest.mark.parametrize("kind", ["simulated", "chat"])
async def test_nobody_is_reached_where_there_is_no_telephone(inbound: CallSnapshot, kind: str) -> None:
    hands = Hands()
    with pytest.raises(NobodyHereError):
        await People(replace(inbound, kind=kind)).reach(hands, chosen="", reason="other", summary="")
    assert hands.targets == []


async def test_a_caller_is_not_handed_over_to_themselves(inbound: CallSnapshot) -> None:
    hands = Hands()
    done = await People(replace(inbound, phone=DESK.phone)).reach(hands, chosen="Desk", reason="other", summary="")
    assert "Desk" not in {each.name for each in hands.targets}
    assert done.tried[0] == Tried(DESK, "failed")


async def test_who_was_suppressed_since_the_call_began_is_not_tried(inbound: CallSnapshot, caller_tenant: Tenant) -> None:
    def listed() -> None:
        with tenant_scope(caller_tenant):
            suppress(phone=DESK.phone, source="customer")

    await sync_to_async(listed)()
    hands = Hands()
    done = await People(inbound).reach(hands, chosen="Desk", reason="other", summary="")
    assert (done.tried[0], done.joined and done.joined.name) == (Tried(DESK, "failed"), hands.targets[0].name)
    assert "Desk" not in {each.name for each in hands.targets}


async def test_who_was_switched_off_since_the_call_began_is_not_tried(inbound: CallSnapshot, caller_tenant: Tenant) -> None:
    def off() -> Target:
        with tenant_scope(caller_tenant):
            row = create_target(name="Off", phone="+12125550129")
            known = row.as_target()
            change_target(target=row, enabled=False)
            return known

    ann, hands = await sync_to_async(off)(), Hands()
    both = replace(inbound, transfers=TransferPolicy(targets=[ann, DESK]))
    done = await People(both).reach(hands, chosen="Off", reason="other", summary="")
    assert ([each.name for each in hands.targets], done.tried[0]) == (["Desk"], Tried(ann, "failed"))


async def test_nobody_is_held_where_nobody_may_be_tried(inbound: CallSnapshot) -> None:
    hands = Hands()
    for targets, outcomes in (([], []), ([DESK], ["failed"])):
        alone = replace(inbound, phone=DESK.phone, transfers=TransferPolicy(targets=targets))
        done = await People(alone).reach(hands, chosen="Desk", reason="other", summary="")
        assert (done.joined, [each.outcome for each in done.tried], hands.targets) == (None, outcomes, [])


@pytest.fixture
def stuck(inbound: CallSnapshot) -> Iterator[None]:
    """Nobody can read the targets meanwhile."""
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE agents_transfertarget")
    yield
    other.close()


async def test_a_database_that_does_not_answer_keeps_nobody_from_a_person(inbound: CallSnapshot, stuck: None) -> None:
    hands = Hands()
    async with asyncio.timeout(10):
        done = await People(inbound).reach(hands, chosen="Desk", reason="other", summary="")
    assert done.joined
    assert done.joined.name == "Desk"


async def test_without_anybody_to_hand_over_to_the_model_says_so_and_goes_on() -> None:
    result, _ = await used(HandOver(joined=None, tried=()))
    assert (result.status, result.reply) == ("refused", True)
    assert result.output["error"].startswith("There is nobody this call can be handed to. The caller is with you again.")


async def test_the_model_is_silent_when_somebody_has_the_call() -> None:
    result, asked = await used(HandOver(joined=SALES, tried=[Tried(SALES, "joined")]))
    assert (result.status, result.reply) == ("ok", False)
    assert asked == {"chosen": "Sales", "reason": "complaint", "summary": GIVEN["summary"]}


async def test_the_model_is_told_why_nobody_took_the_call() -> None:
    result, _ = await used(HandOver(joined=None, tried=[Tried(SALES, "busy"), Tried(DESK, "no_answer")]))
    assert (result.status, result.reply) == ("refused", True)
    assert result.output["error"].startswith("Nobody took the call: Sales is on another call; Desk did not answer. The caller is")


@pytest.mark.parametrize("outcome", ["declined", "busy", "voicemail", "no_answer", "failed"])
async def test_each_outcome_has_words(outcome: str) -> None:
    result, _ = await used(tried(outcome, SALES))
    assert "_" not in result.output["error"]
    assert "Sales " in result.output["error"]


async def test_the_model_is_told_who_opens_when() -> None:
    result, _ = await used(tried("closed", DOCTOR))
    assert "Nobody is there now: Doctor is closed and opens " in result.output["error"]
    assert "at 09:00 (America/New_York)" in result.output["error"]


async def test_nobody_answers_for_a_caller_who_has_left() -> None:
    result, _ = await used(tried("caller_left", SALES))
    assert not result.reply


async def test_without_a_telephone_the_model_says_so() -> None:
    result, _ = await used(NobodyHereError())
    assert result.status == "refused"
    assert "Nobody can be reached from here" in result.output["error"]


def test_a_hand_over_is_written_down_without_numbers() -> None:
    done = HandOver(joined=DESK, tried=[Tried(SALES, "busy"), Tried(DESK, "joined")])
    entry = hand_over_entry(done, reason="complaint", summary="Sam.")
    assert entry["data"]["target"] == {"id": DESK.id, "name": "Desk"}
    assert [(each["name"], each["outcome"]) for each in entry["data"]["tried"]] == [("Sales", "busy"), ("Desk", "joined")]
    assert "+1212" not in str(entry)
