"""Actions in running calls: who may ask for what, and that each has an outcome in the end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis

from agents.transfers import Target
from calls import wakeups
from calls.clock import database_now
from calls.errors import (
    AgentGoneError,
    CallEndedError,
    GateRefusedError,
    InvalidActionError,
    NotAnsweredError,
    NotForThisKindError,
    TooManyActionsError,
    WarmTransferError,
)
from calls.models import Call, CallCommand, CallEvent
from calls.services import actions, end_call, finalize_call, sweeps
from calls.services.actions import Wanted, request_action
from calls.services.commands import take_commands
from calls.services.journal import apply_entries
from calls.services.people import suppress
from calls.services.targets import change_target, create_target
from calls.testing import JOB, make_number
from tenants.models import AuditEvent, TenantLimits, User

Make = Callable[..., Call]
Kind = CallCommand.Kind


def phone_call(make_call: Make) -> Call:
    """A running call with a phone at its other end, as the database has it."""
    call = make_call(status="in_progress")
    Call.objects.filter(pk=call.pk).update(kind="inbound", transport="livekit", room=f"in-{call.pk}", persona="")
    call.refresh_from_db()
    return call


def outcome(action: CallCommand) -> tuple[str, str]:
    action.refresh_from_db()
    return action.state, action.outcome_reason


def test_an_action_waits_is_taken_and_is_forgotten_but_for_its_outcome(make_call: Make, make_user: Callable[..., User]) -> None:
    call, staff = make_call(status="in_progress"), make_user()
    action = request_action(call, Wanted(kind=Kind.SAY, text="Hello."), actor=staff, reason="Polite")
    assert action.state == "waiting"
    (taken,) = take_commands(call.pk)
    assert (taken.text, taken.options) == ("Hello.", {"when": "now", "interruptible": True})
    assert outcome(action) == ("running", "")
    assert (action.text, action.options) == ("", {})
    done = {"op": "action", "command_id": str(action.pk), "outcome": "done", "at": database_now().isoformat()}
    apply_entries(call_id=call.pk, job_id=JOB, entries=[done, {**done, "outcome": "failed", "reason": "late"}, done])
    assert outcome(action) == ("done", "")
    (event,) = CallEvent.objects.filter(call=call, kind="action_done")
    assert event.data == {"action": "say", "action_id": action.public_id}
    assert AuditEvent.objects.get(action="call.say_requested").actor_id == staff.pk


@pytest.mark.parametrize("status", ["queued", "dispatched", "ended"])
@pytest.mark.parametrize("kind", [Kind.SAY, Kind.INSTRUCT, Kind.MUTE_AGENT, Kind.UNMUTE_AGENT])
def test_only_a_call_that_runs_is_steered(make_call: Make, status: str, kind: Kind) -> None:
    call = make_call(status=status, job_id="" if status == "queued" else JOB)
    with pytest.raises(CallEndedError if status == "ended" else NotAnsweredError):
        request_action(call, Wanted(kind=kind, text="Hello."))
    assert not CallCommand.objects.exists()


def test_a_call_without_its_agent_is_not_steered(make_call: Make) -> None:
    call = phone_call(make_call)
    Call.objects.update(status="handed_over")
    with pytest.raises(AgentGoneError):
        request_action(call, Wanted(kind=Kind.SAY, text="Hello."))


@pytest.mark.parametrize("kind", [Kind.SEND_DTMF, Kind.TRANSFER, Kind.MUTE_AGENT])
def test_a_chat_has_no_phone(make_call: Make, kind: Kind) -> None:
    call = make_call(status="in_progress", kind="chat")
    with pytest.raises(NotForThisKindError):
        request_action(call, Wanted(kind=kind, digits="1", to="+12125550123"))
    for possible in (Kind.SAY, Kind.INSTRUCT, Kind.HANG_UP):
        assert request_action(call, Wanted(kind=possible, text="Hello.")).state == "waiting"


BAD = [
    (Wanted(kind=Kind.SAY, text=" "), "text"),
    (Wanted(kind=Kind.SAY, text="x", when="never"), "when"),
    (Wanted(kind=Kind.INSTRUCT), "text"),
    (Wanted(kind=Kind.SEND_DTMF), "digits"),
    (Wanted(kind=Kind.SEND_DTMF, digits="12A"), "digits"),
    (Wanted(kind=Kind.SEND_DTMF, digits="12x"), "digits"),
    (Wanted(kind=Kind.SEND_DTMF, digits="1" * 33), "digits"),
    (Wanted(kind=Kind.SEND_DTMF, digits="1\n"), "digits"),
    (Wanted(kind=Kind.TRANSFER, to="+12125550123", mode="hot"), "mode"),
    (Wanted(kind=Kind.TRANSFER), "target_id"),
    (Wanted(kind=Kind.TRANSFER, to="+12125550123", summary="A bill."), "summary"),
]


@pytest.mark.parametrize(("wanted", "field"), BAD, ids=lambda value: str(value)[:60])
def test_what_does_not_fit_is_named(make_call: Make, wanted: Wanted, field: str) -> None:
    call = phone_call(make_call)
    with pytest.raises(InvalidActionError) as refused:
        request_action(call, wanted)
    assert list(refused.value.errors) == [field]
    assert not CallCommand.objects.exists()


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("911", "number_type_not_allowed"),
        ("+19005550123", "number_type_not_allowed"),
        ("+4915112345678", "country_not_allowed"),
        ("12", "number_type_not_allowed"),
        ("+12125550199", "recipient_suppressed"),
        ("nonsense", "invalid_number"),
        ("+12125550100", "own_number"),
    ],
)
def test_nobody_is_put_through_where_nobody_may_be_called(make_call: Make, to: str, code: str) -> None:
    TenantLimits.objects.update(allowed_countries=["US"])
    suppress(phone="+12125550199", source="customer")
    make_number(phone="+12125550100")
    call = phone_call(make_call)
    with pytest.raises(GateRefusedError) as refused:
        request_action(call, Wanted(kind=Kind.TRANSFER, to=to))
    assert refused.value.code == code
    assert not CallCommand.objects.exists()


def test_a_transfer_is_to_a_number_as_the_network_writes_it(make_call: Make) -> None:
    TenantLimits.objects.update(allowed_countries=["US"])
    call = phone_call(make_call)
    with pytest.raises(WarmTransferError):
        request_action(call, Wanted(kind=Kind.TRANSFER, to="+12125550123", mode="warm"))
    request_action(call, Wanted(kind=Kind.TRANSFER, to="+1 (212) 555-0123"))
    assert take_commands(call.pk)[0].options["to"] == "+12125550123"


def test_a_target_is_called_as_it_says_unless_told_otherwise(make_call: Make) -> None:
    TenantLimits.objects.update(allowed_countries=["US"])
    call, target = phone_call(make_call), create_target(name="Front desk", phone="+12125550123")
    request_action(call, Wanted(kind=Kind.TRANSFER, target=target))
    request_action(call, Wanted(kind=Kind.TRANSFER, target=target, mode="blind"))
    warm, blind = (command.options for command in take_commands(call.pk))
    assert (warm["mode"], Target.model_validate(warm["target"])) == ("warm", target.as_target())
    assert (blind["mode"], blind["to"], blind["target"]["mode"]) == ("blind", "+12125550123", "blind")


def test_keys_are_pressed_by_an_agent_that_introduces_the_caller(make_call: Make) -> None:
    TenantLimits.objects.update(allowed_countries=["US"])
    call, target = phone_call(make_call), create_target(name="Front desk", phone="+12125550123", digits="12")
    with pytest.raises(InvalidActionError, match="mode"):
        request_action(call, Wanted(kind=Kind.TRANSFER, target=target, mode="blind"))
    assert request_action(call, Wanted(kind=Kind.TRANSFER, target=target)).options["target"]["digits"] == "12"


def test_nobody_is_put_through_to_themselves(make_call: Make) -> None:
    TenantLimits.objects.update(allowed_countries=["US"])
    call = phone_call(make_call)
    Call.objects.filter(pk=call.pk).update(phone="+12125550177")
    call.refresh_from_db()
    target = create_target(name="Front desk", phone=call.phone)
    with pytest.raises(InvalidActionError, match="target_id"):
        request_action(call, Wanted(kind=Kind.TRANSFER, target=target))
    with pytest.raises(InvalidActionError, match=r"^to: "):
        request_action(call, Wanted(kind=Kind.TRANSFER, to=call.phone))


def test_a_target_takes_calls_while_it_is_on_and_not_suppressed(make_call: Make) -> None:
    TenantLimits.objects.update(allowed_countries=["US"])
    call, target = phone_call(make_call), create_target(name="Front desk", phone="+12125550123")
    with pytest.raises(InvalidActionError, match="target_id"):
        request_action(call, Wanted(kind=Kind.TRANSFER, target=target, to="+12125550123"))
    with pytest.raises(InvalidActionError, match="switched off"):
        request_action(call, Wanted(kind=Kind.TRANSFER, target=change_target(target=target, enabled=False)))
    target = change_target(target=target, enabled=True)
    suppress(phone=target.phone, source="customer")
    with pytest.raises(GateRefusedError):
        request_action(call, Wanted(kind=Kind.TRANSFER, target=target))
    assert not CallCommand.objects.exists()


def test_nobody_is_introduced_where_there_is_no_phone(make_call: Make) -> None:
    TenantLimits.objects.update(allowed_countries=["US"])
    call, target = make_call(status="in_progress"), create_target(name="Front desk", phone="+12125550123")
    with pytest.raises(WarmTransferError):
        request_action(call, Wanted(kind=Kind.TRANSFER, target=target, mode="warm"))


def test_actions_pile_up_so_far_and_no_further(make_call: Make) -> None:
    call = make_call(status="in_progress")
    for _ in range(actions.MOST_WAITING):
        request_action(call, Wanted(kind=Kind.SAY, text="Hello."))
    with pytest.raises(TooManyActionsError):
        request_action(call, Wanted(kind=Kind.SAY, text="Hello."))
    assert request_action(make_call(status="in_progress"), Wanted(kind=Kind.SAY, text="Hello.")).state == "waiting"
    take_commands(call.pk)
    assert request_action(call, Wanted(kind=Kind.SAY, text="Hello.")).state == "waiting"
    request_action(call, Wanted(kind=Kind.HANG_UP))


@pytest.mark.django_db(transaction=True)
def test_an_action_wakes_the_job(make_call: Make, settings: Any) -> None:
    call = make_call(status="in_progress")
    with Redis.from_url(settings.REDIS_URL).pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(wakeups.COMMANDS)
        listening.get_message(timeout=5)
        request_action(call, Wanted(kind=Kind.SAY, text="Hello."))
        message = listening.get_message(timeout=5)
    assert message
    assert message["data"] == str(call.pk).encode()


def test_what_waits_when_the_call_ends_has_failed(make_call: Make) -> None:
    call = make_call(status="in_progress")
    waiting = request_action(call, Wanted(kind=Kind.SAY, text="Hello."))
    end_call(call_id=call.pk, disposition="completed", ended_reason="caller_hung_up")
    assert outcome(waiting) == ("failed", "call_ended")
    assert take_commands(call.pk) == []
    assert CallEvent.objects.get(kind="action_failed").data["reason"] == "call_ended"


def test_what_a_lost_job_had_taken_is_lost(make_call: Make) -> None:
    call = make_call(status="in_progress")
    taken = request_action(call, Wanted(kind=Kind.SAY, text="Hello."))
    take_commands(call.pk)
    left = request_action(call, Wanted(kind=Kind.SAY, text="Hello?"))
    hosts_gone = database_now() + timedelta(minutes=5)
    sweeps.note_run(now=hosts_gone - sweeps.HOST_SILENCE - timedelta(seconds=1))
    for seconds in range(0, 100, 5):
        sweeps.sweep(now=hosts_gone + timedelta(seconds=seconds))
    call.refresh_from_db()
    assert (call.status, call.ended_reason, call.finalized_at is None) == ("ended", "worker_lost", False)
    assert [outcome(action) for action in (taken, left)] == [("failed", "lost"), ("failed", "call_ended")]


def test_a_hang_up_of_a_call_without_a_job_is_done_at_once(make_call: Make) -> None:
    call = make_call(status="queued", job_id="")
    action = request_action(call, Wanted(kind=Kind.HANG_UP, text="Bye."))
    call.refresh_from_db()
    assert (action.state, call.status) == ("done", "ended")
    with pytest.raises(CallEndedError):
        request_action(call, Wanted(kind=Kind.HANG_UP))
    finalize_call(call_id=call.pk)
    assert outcome(action) == ("done", "")
