from collections.abc import Callable
from decimal import Decimal
from itertools import product

import pytest
from pytest_django import DjangoAssertNumQueries

from calls import endings, selectors
from calls.models import Call
from calls.services import finalize_call
from calls.services.journal import apply_entries
from calls.testing import JOB
from calls.tests import journal as j

Make = Callable[..., Call]


def test_progress_shows_what_is_new(make_call: Make) -> None:
    call = make_call(status="in_progress")
    assert selectors.call_progress(call).turns == []
    apply_entries(call_id=call.pk, job_id=JOB, entries=[j.turn(0), j.turn(1), j.tool_call(), j.message()])
    first = selectors.call_progress(call)
    assert ([turn.sequence for turn in first.turns], first.seen, first.status) == ([0, 1], 1, "in_progress")
    assert (len(first.tool_calls), len(first.messages)) == (1, 1)
    apply_entries(call_id=call.pk, job_id=JOB, entries=[j.turn(2), j.ended()])
    then = selectors.call_progress(call, after=first.seen)
    assert ([turn.sequence for turn in then.turns], then.seen, then.disposition) == ([2], 2, "completed")


def test_timings_leave_out_words_and_unknown_measures(make_call: Make, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    call = make_call(status="in_progress")
    entries = [j.turn(0, metrics={"llm_ttft": 300, "moon": 1}), j.turn(1), j.metrics(0, response_gap=900)]
    apply_entries(call_id=call.pk, job_id=JOB, entries=entries)
    with django_assert_num_queries(1):
        first, second = selectors.turn_timings(call)
    assert dict(first.stages) == {"llm_ttft": 300, "response_gap": 900}
    assert (second.speaker, second.started_ms, dict(second.stages)) == ("caller", 2000, {})


def test_cost_lines_tell_quantity_price_and_cost(make_call: Make) -> None:
    call = make_call(status="ended")
    entries = [j.usage(1000, provider="nobody"), j.usage(7, kind="stt", unit="second", provider="nobody")]
    apply_entries(call_id=call.pk, job_id=JOB, entries=entries)
    finalize_call(call_id=call.pk)
    lines = selectors.cost_lines(call)
    assert [(line.kind, line.quantity, line.cost) for line in lines] == [("llm", Decimal(1000), None), ("stt", Decimal(7), None)]


@pytest.mark.parametrize(("disposition", "reason"), product(Call.Disposition.values, [*endings.REASONS, "sip_486"]))
def test_every_end_is_explained(disposition: str, reason: str) -> None:
    call = Call(status="ended", disposition=disposition, ended_reason=reason)
    sentence = endings.why_it_ended(call)
    assert sentence.endswith(".")
    assert "  " not in sentence
    assert len(sentence) > 15


def test_an_open_call_has_not_ended() -> None:
    assert endings.why_it_ended(Call(status="in_progress")) == ""


def test_the_detail_is_part_of_the_answer() -> None:
    call = Call(status="ended", disposition="failed", ended_reason="provider_error", ended_detail="acme: 401 bad key")
    assert endings.why_it_ended(call) == ("The call failed. A provider of speech or language failed for good. acme: 401 bad key")
