"""The figures kept per day, for charts."""

from datetime import date, timedelta

from django.db.models import Sum

from analytics.models import DailyRollup
from voiceplatform.admin.charts import Day


def days_between(first: date, last: date, *, with_tests: bool) -> list[Day]:
    """One entry a day, the days without calls included; simulated and test calls only when asked for."""
    rows = DailyRollup.objects.filter(day__gte=first, day__lte=last)
    if not with_tests:
        rows = rows.filter(livemode=True)
    found = {row["day"]: row for row in rows.order_by().values("day").annotate(total=Sum("calls"), bad=Sum("failed"))}
    return [_day(first + timedelta(days=offset), found) for offset in range((last - first).days + 1)]


def _day(on: date, found: dict[date, dict[str, int]]) -> Day:
    row = found.get(on)
    return Day(on=on, good=row["total"] - row["bad"], bad=row["bad"]) if row else Day(on=on, good=0, bad=0)
