"""What a tenant used in the last days."""

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q, Sum
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from tenants.models import Kind, Tenant, Unit, UsageRecord
from voiceplatform.admin.charts import bar_chart
from voiceplatform.admin.daily import days_between

if TYPE_CHECKING:
    from voiceplatform.admin.tenant_page import TenantAdmin

DAYS = 30


def usage_page(admin: "TenantAdmin", request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    with_tests = request.GET.get("tests") == "1"
    last = timezone.localdate()
    days = days_between(last - timedelta(days=DAYS - 1), last, with_tests=with_tests)
    lines = list(_lines())
    return admin.tenant_page(
        request,
        tenant,
        tab="usage",
        lines=lines,
        total=sum((line["cost"] or Decimal() for line in lines), Decimal()),
        chart=bar_chart(days),
        has_figures=any(day.total for day in days),
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
        .annotate(quantity=Sum("quantity"), cost=Sum("cost"), unpriced=Count("pk", filter=Q(cost=None)))
    )
    named = [{**row, "kind": Kind(row["kind"]).label, "unit": Unit(row["unit"]).label} for row in rows]
    return sorted(named, key=lambda row: row["cost"] or Decimal(), reverse=True)
