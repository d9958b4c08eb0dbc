"""Which limits hold: a tenant's own, else its plan's, else the platform's."""

from dataclasses import dataclass, fields
from typing import Final

from django.db.models import F, Value
from django.db.models.functions import Coalesce

from tenants.models import TenantLimits

PLATFORM: Final = {"max_open_calls": 10, "api_requests_per_minute": 1200, "calls_per_phone_day": 3, "calls_per_phone_week": 7}


@dataclass(frozen=True, slots=True)
class Limits:
    max_open_calls: int
    api_requests_per_minute: int
    calls_per_phone_day: int
    calls_per_phone_week: int


def effective(name: str) -> Coalesce:
    """The limit `name` that holds, as an expression over rows of TenantLimits."""
    return Coalesce(F(name), F(f"tenant__plan__{name}"), Value(PLATFORM[name]))


def effective_limits() -> Limits:
    """The limits of the tenant in scope; one query."""
    return Limits(*TenantLimits.objects.values_list(*(effective(each.name) for each in fields(Limits))).get())
