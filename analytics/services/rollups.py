"""Keeping the figures per day. Each piece of news must be added once; the outbox sees to that."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F

from analytics.models import DailyRollup
from calls.models import Call
from tenants.models import Tenant
from tenants.scope import current_tenant_id

_BADLY = (Call.Disposition.FAILED, Call.Disposition.UNKNOWN)


def add_call(facts: Mapping[str, Any]) -> None:
    """Count a finalised call of the tenant in scope; `facts` are what `call.finalized` tells."""
    _add(
        facts,
        currency=facts["currency"],
        calls=1,
        completed=int(facts["disposition"] == Call.Disposition.COMPLETED),
        failed=int(facts["disposition"] in _BADLY),
        seconds=Decimal(str(facts["seconds"])).quantize(Decimal("0.001")),
        cost=Decimal(facts["cost"]),
    )


def change_cost(facts: Mapping[str, Any]) -> None:
    """Follow a finalised call whose cost was computed anew; `facts` are what `call.repriced` tells."""
    _add(facts, currency=facts["currency_before"], cost=-Decimal(facts["cost_before"]))
    _add(facts, currency=facts["currency"], cost=Decimal(facts["cost"]))


def _add(facts: Mapping[str, Any], *, currency: str, **amounts: int | Decimal) -> None:
    row, _ = DailyRollup.objects.get_or_create(
        day=_day(facts), agent_id=facts["agent_id"], kind=facts["kind"], livemode=facts["livemode"], currency=currency
    )
    DailyRollup.objects.filter(pk=row.pk).update(**{name: F(name) + amount for name, amount in amounts.items()})


def _day(facts: Mapping[str, Any]) -> date:
    zone = Tenant.objects.values_list("timezone", flat=True).get(pk=current_tenant_id())
    return datetime.fromisoformat(facts["created_at"]).astimezone(ZoneInfo(zone)).date()
