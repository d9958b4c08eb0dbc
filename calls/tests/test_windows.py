"""The arithmetic of calling windows, against a clock that is asked minute by minute."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calls.windows import Hours, is_open, next_opening

ZONES = [
    "America/New_York", "America/Los_Angeles", "Europe/Berlin", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu",
    "America/St_Johns", "Pacific/Chatham", "Africa/Casablanca", "Pacific/Pago_Pago", "Asia/Tokyo", "UTC",
]  # fmt: skip
QUARTER = timedelta(minutes=15)
times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
hours_of_day = st.tuples(times, times).filter(lambda pair: pair[0] < pair[1])
some_hours = st.builds(lambda days, pair: Hours(frozenset(days), *pair), st.sets(st.integers(1, 7), min_size=1), hours_of_day)
some_zones = st.lists(st.sampled_from(ZONES), min_size=1, max_size=4)
# Days on which clocks change, here and there, and any other.
changes = [date(2026, 3, 7), date(2026, 3, 28), date(2026, 4, 4), date(2026, 10, 24), date(2026, 10, 31)]
first_days = st.one_of(st.sampled_from(changes), st.dates(date(2026, 1, 1), date(2026, 12, 1)))
quarters = st.integers(0, 4 * 48)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@settings(max_examples=150, deadline=None)
@given(st.lists(some_hours, min_size=1, max_size=3), some_zones, first_days, quarters)
def test_the_next_opening_is_open_and_nothing_before_it_is(hours: list[Hours], zones: list[str], day: date, later: int) -> None:
    now = datetime.combine(day, time(), UTC) + later * QUARTER
    opens_at = next_opening(hours, zones, now)
    if opens_at is not None:
        assert opens_at >= now
        assert is_open(hours, zones, opens_at)
    # Every clock of these zones shows whole quarters of an hour when UTC does, so looking each quarter misses nothing.
    end = opens_at or now + timedelta(days=8)
    earlier = [now + number * QUARTER for number in range((end - now) // QUARTER)]
    assert [moment for moment in earlier if is_open(hours, zones, moment)] == []


def test_hours_in_the_gap_of_a_changing_clock_do_not_exist() -> None:
    at_night = [Hours(frozenset(range(1, 8)), time(2, 15), time(2, 45))]
    assert next_opening(at_night, ["America/New_York"], utc(2026, 3, 8, 5)) == utc(2026, 3, 9, 6, 15)


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    at_night = [Hours(frozenset(range(1, 8)), time(1, 30), time(2))]
    assert next_opening(at_night, ["America/New_York"], utc(2026, 11, 1, 5)) == utc(2026, 11, 1, 5, 30)
    assert next_opening(at_night, ["America/New_York"], utc(2026, 11, 1, 6)) == utc(2026, 11, 1, 6, 30)
    assert not is_open(at_night, ["America/New_York"], utc(2026, 11, 1, 6, 15))


def test_a_window_that_begins_in_the_gap_opens_when_the_clock_has_jumped() -> None:
    early = [Hours(frozenset(range(1, 8)), time(2, 30), time(9))]
    assert next_opening(early, ["America/New_York"], utc(2026, 3, 8, 6, 30)) == utc(2026, 3, 8, 7)


@pytest.mark.parametrize("zones", [[], ["Pacific/Pago_Pago", "Asia/Tokyo"]])
def test_there_may_be_no_opening_at_all(zones: list[str]) -> None:
    office = [Hours(frozenset(range(1, 8)), time(9), time(12))]
    assert not is_open(office, zones, utc(2026, 11, 25))
    assert next_opening(office, zones, utc(2026, 11, 25)) is None


def test_a_window_is_open_from_its_first_moment_to_just_before_its_last() -> None:
    office = [Hours(frozenset({3}), time(9), time(12))]
    moments = [utc(2026, 11, 25, 9), utc(2026, 11, 25, 11, 59, 59, 999_999), utc(2026, 11, 25, 12), utc(2026, 11, 24, 10)]
    assert [is_open(office, ["UTC"], moment) for moment in moments] == [True, True, False, False]
    assert next_opening(office, ["UTC"], utc(2026, 11, 25, 8, 59, 59, 1)) == utc(2026, 11, 25, 9)


def test_holidays_are_left_out_unless_the_hours_say_otherwise() -> None:
    def christmas(day: date) -> bool:
        return (day.month, day.day) == (12, 25)

    week = frozenset(range(1, 8))
    eve, noon = utc(2026, 12, 24, 23), utc(2026, 12, 25, 12)
    working = [Hours(week, time(9), time(17))]
    assert not is_open(working, ["UTC"], noon, christmas)
    assert next_opening(working, ["UTC"], eve, christmas) == utc(2026, 12, 26, 9)
    always = [*working, Hours(week, time(10), time(12, 30), on_holidays=True)]
    assert is_open(always, ["UTC"], noon, christmas)
    assert next_opening(always, ["UTC"], eve, christmas) == utc(2026, 12, 25, 10)
