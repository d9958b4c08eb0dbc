"""The list of calls and the page of one. A call is a record: staff read it, and may hang it up while it runs."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from calls.admin import call_page, recordings, steering, transcript
from calls.admin.filters import AgentFilter, CostAboveFilter, DayRangeFilter, LivemodeFilter, QuestionFilter
from calls.admin.states import TALKING, state_badge
from calls.errors import CallsError
from calls.models import Call, Recording
from calls.services.commands import request_hang_up
from calls.services.transcripts import FORMATS, write_transcript
from calls.services.trimming import ask_for_trimmed
from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.admin.forms import ReasonForm
from tenants.display import EMPTY, badge, duration, moment, moment_text, money
from tenants.staff import staff_user
from voiceplatform.lib.ids import InvalidIdError, from_public_id

HANG_UP = "calls.hang_up_call"


@admin.register(Call)
class CallAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["when", "state", "why", "kind_badge", "agent", "tenant", "lasted", "cost_text", "short_id"]
    list_filter = [
        QuestionFilter,
        ("disposition", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        LivemodeFilter,
        AgentFilter,
        CostAboveFilter,
        ("created_at", DayRangeFilter),
    ]
    list_select_related = ["agent", "tenant"]
    list_display_links = ["when", "short_id"]
    search_fields = ["agent__name", "persona"]
    search_help_text = "Call id, agent or persona"
    ordering = ["-created_at", "-id"]
    actions = None
    empty_title = "No calls yet"
    empty_hint = (
        "Simulate your first call: open an agent, choose Simulate, pick a persona and listen to the conversation. "
        "It needs no telephone and no account."
    )
    empty_link = ("Open Agents", "admin:agents_agent_changelist")

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Call], search_term: str) -> tuple[QuerySet[Call], bool]:
        try:
            return queryset.filter(pk=from_public_id(Call.public_prefix, search_term.strip())), False
        except InvalidIdError:
            found: tuple[QuerySet[Call], bool] = super().get_search_results(request, queryset, search_term)
            return found

    def has_hang_up_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(HANG_UP)

    @admin.display(description="when", ordering="created_at")
    def when(self, call: Call) -> str:
        return moment(call.created_at, call.tenant.timezone)

    @admin.display(description="state", ordering="disposition")
    def state(self, call: Call) -> SafeString:
        return state_badge(call)

    @admin.display(description="why", ordering="ended_reason")
    def why(self, call: Call) -> str:
        return call.ended_reason.replace("_", " ") or EMPTY

    @admin.display(description="kind", ordering="kind")
    def kind_badge(self, call: Call) -> SafeString:
        if call.persona:
            return format_html('{} <span class="vp-muted vp-small">{}</span>', call.get_kind_display(), call.persona)
        test = "" if call.livemode or call.kind in (Call.Kind.SIMULATED, Call.Kind.CHAT) else badge("test")
        return format_html("{} {}", call.get_kind_display(), test)

    @admin.display(description="duration")
    def lasted(self, call: Call) -> str:
        if call.status in TALKING and call.answered_at:
            return f"{duration((timezone.now() - call.answered_at).total_seconds())} …"
        return duration(call.duration_s) if call.answered_at else EMPTY

    @admin.display(description="cost", ordering="cost")
    def cost_text(self, call: Call) -> SafeString | str:
        text = money(call.cost, call.currency)
        return format_html('{} <span title="A price is missing">⚠</span>', text) if call.cost_missing else text

    @admin.display(description="id")
    def short_id(self, call: Call) -> SafeString:
        return format_html('<span class="vp-mono" title="{}">…{}</span>', call.public_id, call.public_id[-8:])

    def get_urls(self) -> list[URLPattern]:
        own = [
            self.row_path("turns/", require_safe(self.turns_view), "turns"),
            self.row_path("waterfall/", require_safe(self.waterfall_view), "waterfall"),
            self.row_path("live/", require_safe(self.live_view), "live"),
            self.row_path("recording/", require_safe(self.recording_view), "recording"),
            self.row_path("recording-link/", require_safe(self.recording_link_view), "recording_link"),
            self.row_path("steer/<slug:name>/", require_POST(self.steer_view), "steer"),
            self.row_path("transcript/", require_safe(self.transcript_view), "transcript"),
            self.row_path("trim/", require_POST(self.trim_view), "trim"),
            self.row_path("hang-up/", require_POST(self.hang_up_view), "hang_up"),
        ]
        return [*own, *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        with self.row_scope(object_id):
            call = self.viewable(request, str(object_id))
            context = call_page.page_context(call, may_listen=self.may_listen(request), user_id=staff_user(request).pk)
            shared = {"urls": self.urls_of(call), "may_hang_up": self.has_hang_up_permission(request)}
            shared |= steering.steering_context(call, request)
            title = f"{call.agent}, {moment_text(call.created_at, call.tenant.timezone)}"
            return self.page(request, "admin/calls/call/page.html", row=call, title=title, **shared, **context).render()

    def turns_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """One page of the transcript, fetched when it comes into view."""
        call = self.viewable(request, object_id)
        context = transcript.page_of(call, number=_number(request.GET.get("page")))
        return TemplateResponse(request, "admin/calls/call/turns.html", {"call": call, **context})

    def waterfall_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        call = self.viewable(request, object_id)
        used = call_page.tools_of(call)
        context = call_page.waterfall_context(transcript.timings(call), tools=used, page=_number(request.GET.get("page")))
        return TemplateResponse(request, "admin/calls/call/waterfall_rows.html", {"urls": self.urls_of(call), **context})

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The conversation so far; once the call has ended the whole page is loaded anew."""
        call = self.viewable(request, object_id)
        context = {"call": call, "urls": self.urls_of(call), **call_page.live_context(call)}
        if call.status == Call.Status.ENDED and "stay" not in request.GET:
            return HttpResponse(headers={"HX-Refresh": "true"})
        return TemplateResponse(request, "admin/calls/call/live.html", context)

    def recording_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The sound itself, in ranges: for the person and the minutes its link was signed for."""
        call = self.viewable(request, object_id)
        if not self.may_listen(request):
            raise PermissionDenied
        return recordings.stream(request, call)

    def recording_link_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """A fresh link, for a page that has been open longer than its first one held."""
        call = self.viewable(request, object_id)
        if not self.may_listen(request):
            raise PermissionDenied
        url = recordings.signed_url(self.row_url("recording", call), call=call, user_id=staff_user(request).pk)
        return HttpResponse(url, content_type="text/plain")

    def transcript_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The transcript as a file."""
        call = self.viewable(request, object_id)
        known = FORMATS.get(format := request.GET.get("format", "text"))
        if known is None:
            raise Http404("There is no such format.")
        name = f'attachment; filename="{call.public_id}.{known.extension}"'
        headers = {"Content-Disposition": name, "Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
        text = write_transcript(call, format=format)
        return HttpResponse(text, content_type=f"{known.content_type}; charset=utf-8", headers=headers)

    def trim_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Have the copy without silences made."""
        call = self.viewable(request, object_id)
        recording = Recording.objects.filter(call=call).first()
        if recording is None or not self.may_listen(request):
            raise PermissionDenied
        try:
            ask_for_trimmed(recording)
        except CallsError as refused:
            messages.error(request, str(refused))
        else:
            messages.success(request, "The copy without silences is being made; reload this page in a moment.")
        return redirect(self.row_url("change", call))

    def hang_up_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        call = self.viewable(request, object_id)
        if not self.has_hang_up_permission(request):
            raise PermissionDenied
        form = ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, "The call goes on: say why it should end, it is kept in the audit.")
        else:
            try:
                asked = request_hang_up(call, actor=staff_user(request), reason=form.cleaned_data["reason"])
            except CallsError as refused:
                messages.error(request, str(refused))
            else:
                messages.success(
                    request, "Hanging up; that takes the worker host a few seconds." if asked else "The call is canceled."
                )
        return redirect(self.row_url("change", call))

    def steer_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponseBase:
        """Say, whisper, mute, listen or take over, as the button's name says."""
        return steering.steer(self, request, self.viewable(request, object_id), name)

    def may_listen(self, request: HttpRequest) -> bool:
        return request.user.has_perm("calls.view_recording")

    def viewable(self, request: HttpRequest, object_id: str) -> Call:
        call: Call = self.row_or_404(request, object_id)
        if not self.has_view_permission(request, call):
            raise PermissionDenied
        return call

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Call | None:
        whole = self.get_queryset(request).select_related("agent", "tenant", "version", "snapshot", "host", "number")
        try:
            call: Call | None = whole.filter(pk=object_id).first()
        except ValidationError:
            return None
        return call

    def urls_of(self, call: Call) -> dict[str, str]:
        return {
            name: self.row_url(name, call)
            for name in ("turns", "waterfall", "live", "recording_link", "transcript", "trim", "hang_up")
        }


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 6 else 0
