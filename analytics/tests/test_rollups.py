from collections.abc import Callable, Iterator
from contextvars import Context
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from pytest_django import DjangoAssertNumQueries

from agents.testing import make_agent
from analytics import handlers as _registered  # noqa: F401
from analytics.models import DailyRollup
from analytics.selectors import last_days
from calls import testing
from calls.models import Call
from calls.services import end_call, finalize_call
from calls.services.journal import apply_entries
from calls.testing import JOB
from calls.tests import journal as j
from calls.tests.racing import race
from tenants.models import DefaultRate, OutboxDelivery, Tenant
from tenants.scope import tenant_scope
from tenants.services import delivery

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def rate(db: None) -> None:
    DefaultRate.objects.create(
        kind="tts",
        provider="acme",
        model="m1",
        unit="character",
        price=Decimal("0.05"),
        per=1000,
        effective_from=BEGIN,
        source="x",
    )


@pytest.fixture
def chicago(make_tenant: Callable[..., Tenant]) -> Iterator[Tenant]:
    tenant = make_tenant(timezone="America/Chicago")
    with tenant_scope(tenant):
        yield tenant


def speak(call: Call, characters: int) -> None:
    entry = j.usage(characters, kind="tts", unit="character")
    apply_entries(call_id=call.pk, job_id=JOB, entries=[entry])


def finished(*, placed_at: datetime, characters: int = 0, disposition: str = "completed", **fields: object) -> Call:
    call = testing.make_call(status="in_progress", **fields)  # type: ignore[arg-type]
    times = {"created_at": placed_at, "answered_at": placed_at, "livemode": call.kind == "web"}
    Call.objects.filter(pk=call.pk).update(**times)
    if characters:
        speak(call, characters)
    end_call(call_id=call.pk, disposition=disposition, ended_reason="idle", at=placed_at + timedelta(seconds=90))
    finalize_call(call_id=call.pk)
    return call


def deliver() -> None:
    """Outside any scope, as a Celery worker does it."""
    Context().run(delivery.drain)


def test_finalised_calls_are_counted_on_their_day_where_the_tenant_lives(chicago: Tenant, rate: None) -> None:
    agent = make_agent()
    evening = datetime(2026, 3, 11, 4, 30, tzinfo=UTC)  # 23:30 on the tenth in Chicago
    finished(placed_at=evening, characters=1000, agent=agent)
    finished(placed_at=evening + timedelta(minutes=10), characters=2000, agent=agent, disposition="failed")
    finished(placed_at=evening + timedelta(hours=1), agent=agent, disposition="canceled")
    deliver()
    first, second = DailyRollup.objects.order_by("day")
    assert (first.day, first.calls, first.completed, first.failed) == (date(2026, 3, 10), 2, 1, 1)
    assert (first.seconds, first.cost, first.currency, first.livemode) == (180, Decimal("0.15"), "USD", False)
    assert (second.day, second.calls, second.completed, second.failed) == (date(2026, 3, 11), 1, 0, 0)


def test_a_call_is_counted_once_however_often_it_is_delivered(chicago: Tenant, rate: None) -> None:
    finished(placed_at=BEGIN + timedelta(days=9), characters=1000)
    for _ in range(3):
        deliver()
    OutboxDelivery.objects.update(leased_until=None)
    deliver()
    row = DailyRollup.objects.get()
    assert (row.calls, row.cost) == (1, Decimal("0.05"))


def test_a_cost_that_changes_later_is_followed(chicago: Tenant, rate: None) -> None:
    call = finished(placed_at=BEGIN + timedelta(days=9), characters=1000)
    deliver()
    speak(call, 3000)
    speak(call, 4000)
    deliver()
    call.refresh_from_db()
    row = DailyRollup.objects.get()
    assert (row.calls, row.cost) == (1, Decimal("0.2"))
    assert call.cost == row.cost


def test_the_figures_of_the_last_days_leave_tests_out(chicago: Tenant, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    last = date(2026, 3, 20)
    noon = datetime(2026, 3, 20, 18, tzinfo=UTC)
    agent = make_agent()
    finished(placed_at=noon, kind="web", agent=agent)
    finished(placed_at=noon - timedelta(days=13), kind="web", agent=agent)
    finished(placed_at=noon - timedelta(days=14), kind="web", agent=agent)
    finished(placed_at=noon, agent=agent)
    deliver()
    with django_assert_num_queries(1):
        days = last_days(last=last)
    assert [day.day for day in days] == [last - timedelta(days=back) for back in range(13, -1, -1)]
    assert [day.calls for day in days] == [1, *[0] * 12, 1]
    assert last_days(last=last, with_tests=True)[-1].calls == 2


def test_figures_stay_within_their_tenant(other_tenant: Tenant, chicago: Tenant) -> None:
    finished(placed_at=datetime(2026, 3, 20, 18, tzinfo=UTC))
    deliver()

    def seen() -> tuple[int, int]:
        return DailyRollup.objects.count(), last_days(last=date(2026, 3, 20), with_tests=True)[-1].calls

    def seen_by_the_other() -> tuple[int, int]:
        with tenant_scope(other_tenant):
            return seen()

    assert seen() == (1, 1)
    assert Context().run(seen_by_the_other) == (0, 0)


def test_workers_that_deliver_at_once_count_every_call_once(database_env: dict[str, str], chicago: Tenant, rate: None) -> None:
    agent, noon = make_agent(), datetime(2026, 3, 20, 18, tzinfo=UTC)
    for _ in range(12):
        finished(placed_at=noon, characters=1000, agent=agent)
    body = """
from analytics import handlers
from tenants.services import delivery
return delivery.drain()
"""
    ran = race(database_env, body, processes=4, settings="voiceplatform.settings.web")
    row = DailyRollup.objects.get()
    assert (row.calls, row.completed, row.cost, sum(ran)) == (12, 12, Decimal("0.6"), 12)
