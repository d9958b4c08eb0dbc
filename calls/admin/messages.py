"""What callers asked to be passed on."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display

from calls.admin.filters import DayRangeFilter
from calls.models import Message
from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.display import badge, moment


@admin.register(Message)
class MessageAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["when", "caller", "phone", "what", "agent", "tenant"]
    list_filter = [("urgent", BooleanRadioFilter), ("taken_at", DayRangeFilter)]
    list_select_related = ["tenant", "call__agent"]
    list_display_links = ["when", "caller"]
    search_fields = ["caller_name", "phone", "reason"]
    search_help_text = "Name, number or words"
    fields = ["caller_name", "phone", "reason", "urgent", "when", "the_call", "tenant"]
    actions = None
    empty_title = "No messages yet"
    empty_hint = (
        "When a caller asks an agent to pass something on, it appears here with name, number and reason. "
        "Grant the agent the tool “Take a message” and see that the feature is on for the tenant."
    )

    @display(description="taken", ordering="taken_at")
    def when(self, message: Message) -> str:
        return moment(message.taken_at, message.tenant.timezone)

    @display(description="caller", ordering="caller_name")
    def caller(self, message: Message) -> SafeString:
        urgent = badge("urgent", "danger") if message.urgent else ""
        return format_html("{} {}", message.caller_name or "No name", urgent)

    @display(description="about")
    def what(self, message: Message) -> str:
        return message.reason if len(message.reason) <= 120 else f"{message.reason[:119]}…"

    @display(description="agent")
    def agent(self, message: Message) -> str:
        return str(message.call.agent)

    @display(description="call")
    def the_call(self, message: Message) -> SafeString:
        url = reverse("admin:calls_call_change", args=[message.call_id])
        return format_html('<a class="text-link" href="{}">Listen to the call with {}</a>', url, message.call.agent)
