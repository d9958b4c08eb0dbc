"""How often a phone was called, and when it may be called again."""

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from calls.models import Call, Leg
from calls.outcomes import NOT_ATTEMPTS
from tenants.services.limits import Limits

DAY: Final = timedelta(hours=24)
WEEK: Final = timedelta(days=7)


def attempt_times(*, phone: str, since: datetime, until: datetime, but: Call | None = None) -> list[datetime]:
    """When live calls of the tenant in scope rang `phone`, or may have, oldest first; those that still run included.

    A call counts from the moment its INVITE was written down to be sent, except when it is known that nothing rang:
    trouble of the trunk, the carrier or our machines is not the person's.
    """
    rang = Q(ringing_at__isnull=False) | Q(answered_at__isnull=False)
    nobody = Q(call__disposition=Call.Disposition.FAILED, call__ended_reason__in=NOT_ATTEMPTS)
    legs = Leg.objects.filter(
        rang | ~nobody,
        role=Leg.Role.CALLEE,
        started_at__gt=since,
        started_at__lte=until,
        call__kind=Call.Kind.OUTBOUND,
        call__livemode=True,
        call__phone=phone,
    )
    times = legs.exclude(call=but).order_by("started_at").values_list("started_at", flat=True)
    return list(times)


def spent(times: list[datetime], limits: Limits, now: datetime) -> list[tuple[int, str, datetime | None]]:
    """The limits that `times` have used up at `now`: how many calls, in which period, and when one more may be made."""
    found: list[tuple[int, str, datetime | None]] = []
    for most, period, name in ((limits.calls_per_phone_day, DAY, "24 hours"), (limits.calls_per_phone_week, WEEK, "7 days")):
        counted = [at for at in times if at > now - period]
        if len(counted) >= most:
            found.append((most, name, counted[-most] + period if most else None))
    return found
