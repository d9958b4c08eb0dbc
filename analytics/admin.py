"""The figures kept per day."""

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RangeDateFilter

from analytics.models import DailyRollup
from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.display import badge, duration, money


@admin.register(DailyRollup)
class DailyRollupAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["day", "tenant", "agent", "kind", "mode", "calls", "completed", "failed", "talked", "cost_text"]
    list_filter = [("day", RangeDateFilter), ("kind", ChoicesDropdownFilter), ("livemode", BooleanRadioFilter)]
    list_select_related = ["tenant", "agent"]
    search_fields = ["agent__name"]
    search_help_text = "Agent"
    ordering = ["-day", "-id"]
    actions = None
    empty_title = "No figures yet"
    empty_hint = "Every finished call is added to its day here, a moment after it has been settled."

    @admin.display(description="mode", ordering="livemode")
    def mode(self, row: DailyRollup) -> SafeString:
        return badge("live", "success") if row.livemode else badge("test")

    @admin.display(description="talked", ordering="seconds")
    def talked(self, row: DailyRollup) -> str:
        return duration(float(row.seconds))

    @admin.display(description="cost", ordering="cost")
    def cost_text(self, row: DailyRollup) -> str:
        return money(row.cost, row.currency)
