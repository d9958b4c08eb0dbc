"""Figures for screens."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Sum

from analytics.models import DailyRollup


@dataclass(slots=True)
class DayFigures:
    """One day's calls; `cost` by currency, because amounts are never converted."""

    day: date
    calls: int = 0
    completed: int = 0
    failed: int = 0
    seconds: Decimal = Decimal(0)
    cost: dict[str, Decimal] = field(default_factory=dict)


def last_days(*, last: date, days: int = 14, with_tests: bool = False) -> list[DayFigures]:
    """The `days` days up to `last`, oldest first, days without calls included; one query.

    Simulations, chats and test runs are left out unless `with_tests`.
    """
    found = {day: DayFigures(day) for day in (last - timedelta(days=back) for back in reversed(range(days)))}
    rows = DailyRollup.objects.filter(day__range=(last - timedelta(days=days - 1), last))
    if not with_tests:
        rows = rows.filter(livemode=True)
    names = ("calls", "completed", "failed", "seconds", "cost")
    sums = {f"all_{name}": Sum(name) for name in names}
    for row in rows.order_by().values("day", "currency").annotate(**sums):
        figures = found[row["day"]]
        figures.calls += row["all_calls"]
        figures.completed += row["all_completed"]
        figures.failed += row["all_failed"]
        figures.seconds += row["all_seconds"]
        figures.cost[row["currency"]] = row["all_cost"]
    return list(found.values())
