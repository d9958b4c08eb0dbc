"""The numbers behind the pictures."""

from datetime import date

import pytest

from calls.admin import timeline, waterfall
from voiceplatform.admin.charts import Day, bar_chart, nice_ceiling


def turn(sequence: int, speaker: str, **fields: object) -> dict:
    return {
        "sequence": sequence,
        "speaker": speaker,
        "started_ms": 0,
        "ended_ms": 0,
        "interrupted": False,
        "metrics": {},
    } | fields


def test_an_answer_takes_its_first_stages_from_the_callers_turn_before_it() -> None:
    heard = {"transcription_delay": 100, "end_of_turn_delay": 400}
    found = waterfall.answers(
        [
            turn(1, "caller", metrics=heard),
            turn(2, "agent", metrics={"llm_ttft": 200, "tts_ttfb": 50, "response_gap": 700, "stop": 90}),
            turn(3, "agent", metrics={"llm_ttft": 300}),
        ]
    )
    assert found[0].stages == {"transcription": 100, "end_of_turn": 300, "llm": 200, "voice": 50}
    assert (found[0].heard_ms, found[0].stop_ms) == (700, 90)
    assert found[1].stages == {"llm": 300}


def test_an_answer_through_a_tool_waits_for_the_tool() -> None:
    found = waterfall.answers(
        [
            turn(1, "caller", ended_ms=1000, metrics={"transcription_delay": 100, "end_of_turn_delay": 400}),
            turn(2, "agent", started_ms=3500, metrics={"llm_ttft": 0, "tts_ttfb": 90}),
            turn(3, "caller", ended_ms=5000),
            turn(4, "agent", started_ms=6000, metrics={"llm_ttft": 700}),
        ],
        tools_ended_ms=[900, 3300],
    )
    assert found[0].stages == {"transcription": 100, "end_of_turn": 300, "tool": 1900, "voice": 90}
    assert found[1].stages == {"llm": 700}


def test_stages_are_stacked_on_one_scale() -> None:
    answer = waterfall.Answer(1, 0, {"transcription": 100, "end_of_turn": 300, "llm": 500, "voice": 100}, heard_ms=1000)
    drawn = waterfall.draw([answer], [answer])
    assert [(part.kind, part.x, part.width) for part in drawn.rows[0].segments] == [
        ("transcription", "0.000%", "10.000%"),
        ("end_of_turn", "10.000%", "30.000%"),
        ("llm", "40.000%", "50.000%"),
        ("voice", "90.000%", "10.000%"),
    ]
    assert (drawn.rows[0].heard_x, drawn.rows[0].heard, drawn.ticks[-1]) == ("100.000%", "1.00 s", ("100.000%", "1 s"))


@pytest.mark.parametrize("wrong", [None, "12", True, -5, {}])
def test_a_metric_that_is_no_number_draws_nothing(wrong: object) -> None:
    found = waterfall.answers([turn(1, "agent", metrics={"llm_ttft": wrong, "response_gap": 100})])
    assert all(value >= 0 for value in found[0].stages.values())
    assert waterfall.draw(found, found).rows[0].heard == "0.10 s"


def test_a_very_long_wait_is_cut_off_in_the_picture_only() -> None:
    answer = waterfall.Answer(1, 0, {"llm": 60_000}, heard_ms=61_000)
    row = waterfall.draw([answer], [answer]).rows[0]
    assert row.cut_off
    assert row.segments[0].width == "100.000%"
    assert row.heard == "61.00 s"


def test_median_and_slow_end_are_of_all_answers() -> None:
    everything = [waterfall.Answer(n, 0, {}, heard_ms=float(n * 100)) for n in range(1, 22)]
    drawn = waterfall.draw(everything[:2], everything)
    assert (drawn.median, drawn.p95, drawn.count, len(drawn.rows)) == ("1.10 s", "2.00 s", 21, 2)
    assert waterfall.draw([], []) == waterfall.Waterfall(
        ticks=[
            ("0.000%", "0 s"),
            ("20.000%", "0.1 s"),
            ("40.000%", "0.2 s"),
            ("60.000%", "0.3 s"),
            ("80.000%", "0.4 s"),
            ("100.000%", "0.5 s"),
        ]
    )


def test_bars_stay_inside_the_timeline_and_short_words_stay_visible() -> None:
    turns = [
        turn(1, "caller", started_ms=-50, ended_ms=1),
        turn(2, "agent", started_ms=9_000, ended_ms=99_000, interrupted=True),
        turn(3, "caller", started_ms=None),
        turn(4, "agent", started_ms=20_000, ended_ms=None),
    ]
    drawn = timeline.draw(turns=turns, tools=[5_000, None], duration_ms=30_000)
    assert drawn is not None
    assert drawn.duration_ms == 99_000
    assert [(bar.x, bar.interrupted) for bar in drawn.bars] == [("0.000%", False), ("9.091%", True), ("20.202%", False)]
    assert all(float(bar.width.rstrip("%")) > 0 for bar in drawn.bars)
    assert len(drawn.tools) == 1


def test_without_times_there_is_no_timeline() -> None:
    assert timeline.draw(turns=[turn(1, "caller", started_ms=None)], tools=[], duration_ms=1000) is None
    assert timeline.draw(turns=[], tools=[], duration_ms=None) is None


@pytest.mark.parametrize(
    ("value", "top"), [(0, 4), (4, 4), (5, 8), (13, 20), (21, 40), (41, 80), (81, 80 + 40), (201, 400), (9999, 12000)]
)
def test_the_top_of_a_chart_has_quarters(value: int, top: int) -> None:
    assert nice_ceiling(value) == top
    assert top % 4 == 0


def test_the_last_day_of_a_chart_is_dated() -> None:
    days = [Day(date(2026, 11, number), good=number, bad=1) for number in range(1, 31)]
    chart = bar_chart(days, width=1000)
    assert chart.bars[-1].shows_date
    assert sum(bar.shows_date for bar in chart.bars) <= 8
    assert all(float(bar.x) + float(bar.width) <= chart.right for bar in chart.bars)
