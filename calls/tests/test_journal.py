from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from calls.clock import database_now
from calls.errors import ForeignJobError
from calls.models import Call, CallEvent, Message, Recording, ToolCall, Turn
from calls.services import end_call, rows
from calls.services.journal import Applied, apply_entries
from calls.testing import JOB
from calls.tests import journal as j
from calls.tests.racing import race
from tenants.models import OutboxEvent, Tenant, UsageRecord
from voiceplatform.lib.ids import uuid7

Make = Callable[..., Call]


@pytest.fixture
def call(make_call: Make) -> Call:
    return make_call(status="dispatched")


def apply(call: Call, *entries: j.Entry) -> Applied:
    return apply_entries(call_id=call.pk, job_id=JOB, entries=entries)


def stored(call: Call) -> dict[str, Any]:
    """Everything the journal writes, without ids and times of writing."""
    call.refresh_from_db()
    facts = {
        "call": (
            call.status,
            call.disposition,
            call.ended_reason,
            call.answered_at,
            call.ended_at,
            call.cost,
            bool(call.finalized_at),
        ),
        "events": sorted(CallEvent.objects.filter(call=call).values_list("kind", "key")),
        "news": sorted(OutboxEvent.objects.filter(object_id=call.pk).values_list("topic", flat=True)),
        "usage": sorted(UsageRecord.objects.filter(subject_id=call.pk).values_list("kind", "unit", "quantity", "cost")),
    }
    for model in (Turn, ToolCall, Message, Recording):
        names = [f.attname for f in model._meta.concrete_fields if f.name not in ("id", "tenant", "call", "applied", "position")]
        facts[model.__name__] = sorted(model.objects.filter(call=call).values_list(*names), key=repr)
    return facts


FULL: list[j.Entry] = [
    j.began(),
    j.turn(0, "Hello", source="greeting"),
    j.turn(1, "I am"),
    j.turn(1, "I am Ann", metrics={"transcription_delay": 210}),
    j.metrics(1, end_of_turn_delay=400),
    j.usage(100),
    j.tool_call(0),
    j.message(),
    j.message(reason="Call back at noon."),
    j.turn(2, "Noted", interrupted=True),
    j.metrics(2, response_gap=800, stop=120),
    {"op": "nonsense"},
    j.event("fallback", stage="llm"),
    j.usage(250),
    j.tool_call(1, status="error"),
    j.spooled(),
    j.ended(),
    j.finalize(),
]


def test_a_whole_call_is_written(call: Call) -> None:
    assert apply(call, *FULL) == Applied(applied=len(FULL) - 1, refused=1)
    facts = stored(call)
    assert facts["call"][:3] == ("ended", "completed", "end_call")
    assert call.finalized_at
    assert [turn.text for turn in Turn.objects.filter(call=call)] == ["Hello", "I am Ann", "Noted"]
    assert Turn.objects.get(call=call, sequence=1).metrics == {"transcription_delay": 210, "end_of_turn_delay": 400}
    assert Message.objects.get(call=call).reason == "Call back at noon."
    assert UsageRecord.objects.get(subject_id=call.pk).quantity == 250
    assert facts["news"] == ["call.ended", "call.finalized", "call.in_progress", "call.queued"]
    assert call.answered_at
    assert call.answered_at.isoformat() == j.AT


@settings(max_examples=40, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.tuples(st.integers(0, len(FULL)), st.integers(1, 8)), max_size=10), after=st.permutations(FULL))
def test_entries_sent_again_change_nothing(make_call: Make, batches: list[tuple[int, int]], after: list[j.Entry]) -> None:
    """Batches begin anywhere before the end of what has arrived, and may end before it; at last all comes in any order.

    Rows move to the end of the call's stream when they are written again.
    """
    plain, again = (make_call(status="dispatched") for _ in range(2))
    apply(plain, *FULL)
    expected = stored(plain)
    arrived = 0
    for back, length in batches:
        start = max(0, arrived - back)
        apply(again, *FULL[start : start + length])
        arrived = max(arrived, start + length)
    apply(again, *FULL[arrived:])
    assert stored(again) == expected
    apply(again, *after)
    assert stored(again) == expected


def test_only_the_job_that_holds_the_call_writes(make_call: Make, call: Call) -> None:
    for job_id in ("job-2", ""):
        with pytest.raises(ForeignJobError):
            apply_entries(call_id=call.pk, job_id=job_id, entries=[j.turn(0)])
    unclaimed = make_call(status="dispatched", job_id="")
    with pytest.raises(ForeignJobError):
        apply_entries(call_id=unclaimed.pk, job_id="", entries=[j.turn(0)])
    with pytest.raises(Call.DoesNotExist):
        apply_entries(call_id=uuid7(), job_id=JOB, entries=[])
    assert not Turn.objects.exists()


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


POISON: list[Any] = [
    j.event(x=nested(2000)),
    j.tool_call(arguments={"x": nested(1500)}),
    {"op": "turn", "sequence": "seven"},
    {"op": "turn_metrics", "sequence": 99, "metrics": {"stop": 1}},
    j.turn(5, speaker="dog"),
    j.event(x=float("nan")),
    j.usage(-1),
    j.ended(disposition="splendid"),
    j.ended(reason=""),
    j.spooled(path=""),
    {"op": "recording", "state": "lost"},
    {"no": "op"},
    "not even an object",
    None,
]


@pytest.mark.parametrize("poison", POISON)
def test_an_entry_that_cannot_be_stored_is_set_aside(call: Call, poison: Any) -> None:
    batch = [j.began(), j.turn(0), j.event(), poison, j.turn(1), j.usage(3), j.ended(), j.finalize()]
    assert apply(call, *batch) == Applied(applied=7, refused=1)
    apply(call, *batch)
    call.refresh_from_db()
    assert (call.status, bool(call.finalized_at), Turn.objects.filter(call=call).count()) == ("ended", True, 2)
    refused = CallEvent.objects.get(call=call, kind="entry_refused")
    assert refused.data["problem"]
    assert CallEvent.objects.filter(call=call, kind="fallback").count() == 1


def test_a_refused_entry_keeps_what_was_said_without_the_card(call: Call) -> None:
    apply(call, j.turn(0, "my card is 4111 1111 1111 1111", speaker="dog"))
    kept = CallEvent.objects.get(kind="entry_refused").data["entry"]
    assert "my card is" in kept
    assert "4111 1111" not in kept


def test_a_lost_connection_is_no_fault_of_an_entry(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setitem(rows.WRITERS, "usage", fail)  # type: ignore[arg-type]
    with pytest.raises(OperationalError):
        apply(call, j.began(), j.turn(0), j.usage(1))
    call.refresh_from_db()
    assert call.status == "dispatched"
    assert not Turn.objects.exists()


def test_metrics_are_added_whenever_they_come(call: Call) -> None:
    apply(call, j.turn(0, metrics={"llm_ttft": 300, "tts_ttfb": None}))
    apply(call, j.metrics(0, response_gap=900))
    apply(call, j.turn(0, "Hello again", metrics={"llm_ttft": 310}))
    turn = Turn.objects.get(call=call)
    assert (turn.text, turn.metrics) == ("Hello again", {"llm_ttft": 310, "response_gap": 900})


def test_card_numbers_are_masked_wherever_something_was_said(call: Call) -> None:
    card = "4111 1111 1111 1111"
    apply(
        call,
        j.turn(0, f"it is {card}"),
        j.tool_call(arguments={"note": card, "deep": [{"n": card}]}, output=f"heard {card}"),
        j.message(reason=f"refund {card}"),
        j.event(said=card),
    )
    tool = ToolCall.objects.get(call=call)
    texts = [Turn.objects.get(call=call).text, repr(tool.arguments), tool.output, Message.objects.get(call=call).reason]
    texts.append(repr(CallEvent.objects.get(call=call, kind="fallback").data))
    assert all("4111 1111" not in text and "1111" in text for text in texts)
    assert Message.objects.get(call=call).phone == "555 0100"


@pytest.mark.parametrize("text", ["Guten Tag, schöne Grüße", "您好，请问几点开门？", "مرحبا بكم", "👩‍👩‍👧‍👦 Žluťoučký", ""])
def test_any_writing_is_kept_as_it_is(call: Call, text: str) -> None:
    apply(call, j.turn(0, text))
    assert Turn.objects.get(call=call).text == text


def test_characters_a_database_cannot_hold_are_replaced(call: Call) -> None:
    assert apply(call, j.turn(0, "a\x00b\ud800c"), j.tool_call(arguments={"k\x00": ["\x00"]})).refused == 0
    assert Turn.objects.get(call=call).text == "a\ufffdb\ufffdc"


def test_a_fast_clock_does_not_put_things_into_the_future(call: Call) -> None:
    tomorrow = (database_now() + timedelta(days=1)).isoformat()
    apply(call, j.began(at=tomorrow), j.event(at=tomorrow), j.message(at=tomorrow), j.ended(at=tomorrow))
    call.refresh_from_db()
    now = database_now()
    assert call.answered_at
    assert call.ended_at
    assert call.answered_at <= call.ended_at <= now
    assert Message.objects.get(call=call).taken_at <= now


def test_what_a_job_still_had_to_say_is_kept_after_the_end(call: Call) -> None:
    apply(call, j.began(), j.turn(0))
    end_call(call_id=call.pk, disposition="failed", ended_reason="worker_lost")
    apply(call, j.turn(1, "still here"), j.spooled(), j.ended("completed", "caller_hung_up"))
    call.refresh_from_db()
    assert (call.disposition, call.ended_reason) == ("completed", "caller_hung_up")
    assert Turn.objects.filter(call=call).count() == 2
    assert Recording.objects.get(call=call).state == "spooled"


def test_a_late_word_does_not_undo_an_end(call: Call) -> None:
    apply(call, j.began())
    end_call(call_id=call.pk, disposition="canceled", ended_reason="canceled_by_user")
    apply(call, j.ended("completed", "caller_hung_up"), j.began())
    call.refresh_from_db()
    assert (call.status, call.disposition) == ("ended", "canceled")


def test_a_call_is_not_finalised_before_it_has_ended(call: Call) -> None:
    apply(call, j.began(), j.finalize())
    call.refresh_from_db()
    assert call.finalized_at is None
    assert not OutboxEvent.objects.filter(topic="call.finalized").exists()


def test_three_hours_of_talk_take_few_queries(call: Call, tenant: Tenant) -> None:
    batch = [j.began()]
    for number in range(5000):
        batch += [j.turn(number, "word " * 20), j.metrics(number, response_gap=number)]
    batch += [j.usage(10), j.ended(), j.finalize()]
    with CaptureQueriesContext(connection) as queries:
        assert apply(call, *batch).refused == 0
    assert Turn.objects.filter(call=call).count() == 5000
    assert Turn.objects.get(call=call, sequence=4999).metrics == {"response_gap": 4999}
    assert len(queries) < 80, len(queries)


def test_a_job_and_its_host_may_write_at_the_same_moment(database_env: dict[str, str], call: Call) -> None:
    apply(call, j.began(), j.turn(0), j.turn(1))
    body = """
refused = 0
for n in range(30):
    measured = {"op": "turn_metrics", "sequence": n % 2, "metrics": {f"m{number}_{n}": n}}
    entries = [*given["same"], measured] if n % 10 == 0 else [measured]
    refused += journal.apply_entries(call_id=UUID(given["call"]), job_id="job-1", entries=entries).refused
return refused
"""
    same = [j.tool_call(), j.message(), j.event(), j.usage(5), j.spooled()]
    assert race(database_env, body, processes=3, call=call.pk, same=same) == [0, 0, 0]
    assert sum(len(turn.metrics) for turn in Turn.objects.filter(call=call)) == 90
    for model in (ToolCall, Message, Recording, UsageRecord):
        assert model.objects.count() == 1
    assert CallEvent.objects.filter(call=call, kind="fallback").count() == 1


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (["human"], "human"),
        (["uncertain"], "uncertain"),
        (["uncertain", "machine_vm"], "machine_vm"),
        (["uncertain", "machine_vm", "uncertain"], "machine_vm"),
        (["screening", "human"], "screening"),
        (["human", "human"], "human"),
    ],
)
def test_who_answered_is_kept_and_only_better_knowledge_replaces_it(call: Call, told: list[str], kept: str) -> None:
    for who in told:
        apply(call, j.answered_by(who))
    apply(call, *(j.answered_by(who) for who in told))
    call.refresh_from_db()
    assert call.answered_by == kept
    assert {event.data["who"] for event in call.events.filter(kind="answered_by")} == set(told)
    assert call.events.filter(kind="answered_by").count() == len(set(told))


def test_nobody_unheard_of_answers(call: Call) -> None:
    assert apply(call, j.answered_by("a_parrot")).refused == 1
    call.refresh_from_db()
    assert call.answered_by == ""
