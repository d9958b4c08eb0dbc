"""What came in over the API, and how it went."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter, FieldTextFilter, RangeDateTimeFilter

from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.display import EMPTY, badge, moment
from tenants.models import RequestLog

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
CLASSES = {"2": "2xx: done", "3": "3xx: elsewhere", "4": "4xx: refused", "5": "5xx: failed"}
TONES = {2: "success", 3: "info", 4: "warning", 5: "danger"}


class StatusClassFilter(DropdownFilter):
    title = "status"
    parameter_name = "class"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return list(CLASSES.items())

    def queryset(self, _request: HttpRequest, requests: QuerySet[RequestLog]) -> QuerySet[RequestLog]:
        if self.value() not in CLASSES:
            return requests
        first = int(self.value()) * 100
        return requests.filter(status__gte=first, status__lt=first + 100)


class MethodFilter(DropdownFilter):
    title = "method"
    parameter_name = "method"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [(method, method) for method in METHODS]

    def queryset(self, _request: HttpRequest, requests: QuerySet[RequestLog]) -> QuerySet[RequestLog]:
        return requests.filter(method=self.value()) if self.value() in METHODS else requests


@admin.register(RequestLog)
class RequestLogAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["when", "tenant", "key", "method", "path_text", "answer", "code", "took", "request_text"]
    list_filter = [StatusClassFilter, MethodFilter, ("key_prefix", FieldTextFilter), ("at", RangeDateTimeFilter)]
    list_select_related = ["tenant", "api_key"]
    search_fields = ["request_id", "path"]
    search_help_text = "Request id or path"
    ordering = ["-id"]
    actions = None
    fields = ["when", "tenant", "key", "method", "path", "answer", "code", "took", "request_id", "ip"]
    empty_title = "Nobody has used the API yet"
    empty_hint = "Each request leaves a line here: who asked for what, and how it went. A program needs an API key first."
    empty_link = ("Open API keys", "admin:tenants_apikey_changelist")

    @admin.display(description="when", ordering="id")
    def when(self, request: RequestLog) -> SafeString | str:
        return moment(request.at, request.tenant.timezone, seconds=True)

    @admin.display(description="key")
    def key(self, request: RequestLog) -> str:
        return request.api_key.name if request.api_key else f"{request.key_prefix}, of the agency"

    @admin.display(description="path")
    def path_text(self, request: RequestLog) -> SafeString:
        return _mono(request.path)

    @admin.display(description="status")
    def answer(self, request: RequestLog) -> SafeString:
        return badge(str(request.status), TONES.get(request.status // 100, "neutral"))

    @admin.display(description="ms")
    def took(self, request: RequestLog) -> str:
        return f"{request.duration_ms:,}"

    @admin.display(description="request id")
    def request_text(self, request: RequestLog) -> SafeString | str:
        return _mono(request.request_id) if request.request_id else EMPTY


def _mono(text: str) -> SafeString:
    return format_html('<span class="vp-mono">{}</span>', text)
