"""What callers asked to be passed on."""

from itertools import groupby
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import BooleanRadioFilter, DropdownFilter

from calls.admin.filters import DayRangeFilter
from calls.models import Message
from calls.services.messages import mark_read
from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.display import badge, moment
from tenants.scope import tenant_scope
from tenants.staff import staff_user

MARK_READ = "calls.change_message"


class UnreadFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [("unread", "Unread"), ("read", "Read")]

    def queryset(self, _request: HttpRequest, rows: QuerySet[Message]) -> QuerySet[Message]:
        return rows.filter(read_at__isnull=self.value() == "unread") if self.value() in ("unread", "read") else rows


@admin.register(Message)
class MessageAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["when", "caller", "phone", "what", "agent", "tenant"]
    list_filter = [UnreadFilter, ("urgent", BooleanRadioFilter), ("taken_at", DayRangeFilter)]
    list_select_related = ["tenant", "call__agent"]
    list_display_links = ["when", "caller"]
    search_fields = ["caller_name", "phone", "reason"]
    search_help_text = "Name, number or words"
    actions = ["mark_as_read"]
    empty_title = "No messages yet"
    empty_hint = (
        "When a caller asks an agent to pass something on, it appears here with name, number and reason. "
        "Grant the agent the tool “Take a message” and see that the feature is on for the tenant."
    )

    def has_mark_read_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MARK_READ)

    @admin.display(description="taken", ordering="taken_at")
    def when(self, message: Message) -> str:
        return moment(message.taken_at, message.tenant.timezone)

    @admin.display(description="caller", ordering="caller_name")
    def caller(self, message: Message) -> SafeString:
        new = "" if message.read_at else badge("new", "info")
        urgent = badge("urgent", "danger") if message.urgent else ""
        return format_html("{} {} {}", message.caller_name or "No name", new, urgent)

    @admin.display(description="about")
    def what(self, message: Message) -> str:
        return message.reason if len(message.reason) <= 120 else f"{message.reason[:119]}…"

    @admin.display(description="agent")
    def agent(self, message: Message) -> str:
        return str(message.call.agent)

    @admin.action(description="Mark as read", permissions=["mark_read"])
    def mark_as_read(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        rows = sorted(queryset, key=lambda message: message.tenant_id)
        marked = 0
        for tenant_id, found in groupby(rows, key=lambda message: message.tenant_id):
            with tenant_scope(tenant_id):
                marked += mark_read(messages=list(found), actor=staff_user(request))
        messages.success(request, f"{marked} of {len(rows)} marked as read.")

    def get_urls(self) -> list[URLPattern]:
        return [self.row_path("read/", require_POST(self.read_view), "read"), *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        with self.row_scope(object_id):
            message = self.viewable(request, str(object_id))
            context = {"message_row": message, "read_url": self.row_url("read", message)}
            title = message.caller_name or "Message"
            may_mark = self.has_mark_read_permission(request)
            page = self.page(request, "admin/calls/message/page.html", row=message, title=title, may_mark=may_mark, **context)
            return page.render()

    def read_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        message = self.viewable(request, object_id)
        if not self.has_mark_read_permission(request):
            raise PermissionDenied
        mark_read(messages=[message], actor=staff_user(request))
        return redirect(self.row_url("change", message))

    def viewable(self, request: HttpRequest, object_id: str) -> Message:
        message: Message = self.row_or_404(request, object_id)
        if not self.has_view_permission(request, message):
            raise PermissionDenied
        return message

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        rows: QuerySet[Message] = super().get_queryset(request)
        return rows.select_related("tenant", "call__agent", "read_by")
