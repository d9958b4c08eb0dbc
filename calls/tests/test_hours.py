"""When a number is open: until midnight, over midnight, and by clocks that change."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from agents.testing import make_agent
from calls.services import numbers
from calls.services.hours import checked_hours, weekly
from calls.testing import make_number
from calls.windows import is_open, next_opening
from tenants.models import Tenant

FRIDAY, SUNDAY = 5, 7
NEW_YORK = "America/New_York"


def span(starts_at: str, ends_at: str, *days: int) -> list[dict[str, Any]]:
    return [{"weekdays": list(days or (FRIDAY,)), "starts_at": starts_at, "ends_at": ends_at}]


def at(clock: str, day: int = 20) -> datetime:
    """In UTC; 20 November 2026 is a Friday."""
    return datetime.fromisoformat(f"2026-11-{day} {clock}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "opened", "closed"),
    [
        (span("18:00", "24:00"), [at("18:00"), at("23:59:59.999999")], [at("17:59:59"), at("00:00", 21), at("00:00")]),
        (span("00:00", "24:00"), [at("00:00"), at("12:00"), at("23:59:59.999999")], [at("23:59:59", 19), at("00:00", 21)]),
        (
            span("22:00", "02:00"),
            [at("22:00"), at("23:59:59.999999"), at("00:00", 21), at("01:59:59", 21)],
            [at("21:59:59"), at("02:00", 21), at("01:00"), at("22:00", 21)],
        ),
        (span("22:00", "02:00", SUNDAY), [at("23:00", 22), at("01:00", 23)], [at("01:00", 22), at("02:00", 23)]),
        (span("09:00", "08:00"), [at("09:00"), at("07:59", 21)], [at("08:30"), at("08:00", 21)]),
    ],
)
def test_a_span_lasts_until_its_end_on_whatever_day(
    hours: list[dict[str, Any]], opened: list[datetime], closed: list[datetime]
) -> None:
    kept = weekly(checked_hours(hours))
    assert [moment for moment in opened if not is_open(kept, ["UTC"], moment)] == []
    assert [moment for moment in closed if is_open(kept, ["UTC"], moment)] == []


@pytest.mark.parametrize("midnight", ["24:00", "24:00:00", "00:00", "00:00:00"])
def test_the_end_of_the_day_is_kept_in_one_way(midnight: str) -> None:
    assert checked_hours(span("18:00", midnight)) == span("18:00", "24:00")
    assert checked_hours(checked_hours(span("18:00", midnight))) == span("18:00", "24:00")
    assert checked_hours(span("22:00:30", "02:00")) == span("22:00", "02:00")


@pytest.mark.parametrize(
    ("starts_at", "ends_at"), [("09:00", "09:00"), ("24:00", "02:00"), ("09:00", "24:30"), ("25:00", "09:00")]
)
def test_what_is_no_span_is_refused(starts_at: str, ends_at: str) -> None:
    with pytest.raises(ValidationError) as refused:
        checked_hours(span(starts_at, ends_at))
    assert set(refused.value.message_dict) == {"hours"}


def test_a_night_in_which_the_clocks_change_ends_by_the_clock() -> None:
    saturday_night = weekly(span("22:00", "02:30", 6))
    began = datetime(2026, 11, 1, 2, tzinfo=UTC)  # Saturday, 22:00 in New York; the clocks go back at 2:00
    ends = began + timedelta(hours=5, minutes=30)
    assert is_open(saturday_night, [NEW_YORK], ends - timedelta(seconds=1))
    assert not is_open(saturday_night, [NEW_YORK], ends)
    assert next_opening(saturday_night, [NEW_YORK], ends) == datetime(2026, 11, 8, 3, tzinfo=UTC)


def test_who_answers_at_night(scope: Tenant) -> None:
    agent = make_agent()
    closed = {"closed_action": "sentence", "closed_sentence": "Closed."}
    number = make_number(agent=agent, timezone=NEW_YORK, hours=span("22:00", "02:00"), **closed)
    assert numbers.route(number, at=at("06:30", 21)).agent == agent
    assert numbers.route(number, at=at("07:00", 21)).sentence == "Closed."
