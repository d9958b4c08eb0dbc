"""What was used, and the prices it is rated with."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter

from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.display import badge, moment, money, price, quantity
from tenants.models import DefaultRate, TenantRate, UsageRecord


class RateAdmin(ConsoleAdmin):
    """Prices are added with a date from which they hold; what has been rated keeps the rate it was rated with."""

    list_display = ["provider", "model_name", "kind", "price_text", "effective", "source"]
    list_filter = [("kind", ChoicesDropdownFilter), ("unit", ChoicesDropdownFilter)]
    search_fields = ["provider", "model"]
    search_help_text = "Provider or model"
    fields = ["kind", "provider", "model", "unit", "price", "per", "currency", "effective_from", "source"]

    @admin.display(description="model", ordering="model")
    def model_name(self, rate: DefaultRate | TenantRate) -> str:
        return rate.model or "every other model"

    @admin.display(description="price", ordering="price")
    def price_text(self, rate: DefaultRate | TenantRate) -> str:
        per = "" if rate.per == 1 else f"{quantity(rate.per)} "
        return f"{price(rate.price, rate.currency)} per {per}{rate.get_unit_display()}"

    @admin.display(description="holds from", ordering="effective_from")
    def effective(self, rate: DefaultRate | TenantRate) -> str:
        return moment(rate.effective_from)


@admin.register(DefaultRate)
class DefaultRateAdmin(RateAdmin):
    empty_title = "No default rates"
    empty_hint = "Without a rate a call's cost is unknown and its page warns. Add what each provider charges."


@admin.register(TenantRate)
class TenantRateAdmin(RateAdmin):
    list_display = ["tenant", *RateAdmin.list_display]
    list_select_related = ["tenant"]
    empty_title = "No rates of tenants' own"
    empty_hint = "Tenants pay the default rates. To agree on another price, choose the tenant in the header, then add a rate."


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["when", "tenant", "kind", "provider", "model_name", "amount", "cost_text", "subject_type"]
    list_filter = [("kind", ChoicesDropdownFilter), ("updated_at", RangeDateTimeFilter)]
    list_select_related = ["tenant"]
    search_fields = ["provider", "model"]
    search_help_text = "Provider or model"
    ordering = ["-updated_at"]
    fields = [
        "tenant", "subject_type", "subject_id", "kind", "provider", "model", "unit", "quantity",
        "cost", "rate_price", "rate_per", "rate_currency", "rate_source", "updated_at",
    ]  # fmt: skip
    empty_title = "Nothing has been used yet"
    empty_hint = (
        "Each call leaves what it used here: seconds heard, tokens read and written, characters spoken, seconds of telephone."
    )

    @admin.display(description="when", ordering="updated_at")
    def when(self, record: UsageRecord) -> str:
        return moment(record.updated_at, record.tenant.timezone)

    @admin.display(description="model", ordering="model")
    def model_name(self, record: UsageRecord) -> str:
        return record.model

    @admin.display(description="quantity")
    def amount(self, record: UsageRecord) -> str:
        return f"{quantity(record.quantity)} {record.get_unit_display()}"

    @admin.display(description="cost", ordering="cost")
    def cost_text(self, record: UsageRecord) -> SafeString | str:
        if record.cost is None:
            return badge("no price", "warning", title="Add a rate for this provider and model")
        return money(record.cost, record.rate_currency)

    def get_actions(self, _request: HttpRequest) -> dict[str, Any]:
        return {}
