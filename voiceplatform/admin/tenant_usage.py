"""What a tenant used in the last days."""

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q, Sum
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from analytics.selectors import last_days
from tenants.models import Kind, Tenant, Unit, UsageRecord
from voiceplatform.admin.charts import Day, bar_chart

if TYPE_CHECKING:
    from voiceplatform.admin.tenant_page import TenantAdmin

DAYS = 30


def usage_page(admin: "TenantAdmin", request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    with_tests = request.GET.get("tests") == "1"
    figures = last_days(last=timezone.localdate(), days=DAYS, with_tests=with_tests)
    lines = list(_lines())
    return admin.tenant_page(
        request,
        tenant,
        tab="usage",
        lines=lines,
        total=sum((line["paid"] or Decimal() for line in lines), Decimal()),
        chart=bar_chart([Day(on=day.day, good=day.calls - day.failed, bad=day.failed) for day in figures], width=1100),
        has_figures=any(day.calls for day in figures),
        with_tests=with_tests,
        days=DAYS,
    )


def _lines() -> list[dict[str, Any]]:
    """Quantities and costs by what was used, the dearest first."""
    since = timezone.now() - timedelta(days=DAYS)
    rows = (
        UsageRecord.objects.filter(updated_at__gte=since)
        .order_by()
        .values("kind", "provider", "model", "unit")
        .annotate(used=Sum("quantity"), paid=Sum("cost"), unpriced=Count("pk", filter=Q(cost=None)))
    )
    named = [{**row, "kind": Kind(row["kind"]).label, "unit": Unit(row["unit"]).label} for row in rows]
    return sorted(named, key=lambda row: row["paid"] or Decimal(), reverse=True)
