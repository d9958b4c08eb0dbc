"""Telephone numbers: who answers, when, and on which trunk."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import DropdownFilter

from agents.models import Agent
from calls.admin.hours import HoursField, hours_text
from calls.admin.people import PhoneSearchMixin
from calls.admin.telephony import ServiceAdmin, ServiceForm, number_state
from calls.models import PhoneNumber, TrunkGrant
from calls.services import numbers
from calls.services.history import caller_context
from calls.services.inbound_hook import BUDGET_S, ask_hook
from tenants.admin.forms import ReasonForm
from tenants.display import EMPTY, moment
from tenants.staff import staff_user

CHANGE, RELEASE = "calls.change_phonenumber", "calls.delete_phonenumber"
FIELDS = [
    "phone", "label", "grant", "agent", "is_caller_id", "timezone", "hours", "closed_action", "closed_agent", "closed_forward_to",
    "closed_sentence", "hook_url",
]  # fmt: skip
SECRET_TO_SHOW = "hook_secret_to_show"  # noqa: S105 - the name of an attribute
MADE_UP_CALLER = "+12025550143"
"""Of the numbers nobody has."""
SHOWN = ["metadata_text", "synced", "created"]


class NumberForm(ServiceForm):
    hours = HoursField(
        required=False, help_text="On the clock above. None: always open. Empty a row to take it away; save for more rows."
    )

    class Meta:
        labels: ClassVar = {
            "is_caller_id": "Caller id",
            "closed_action": "Outside the hours",
            "closed_agent": "Other agent",
            "closed_forward_to": "Put through to",
            "closed_sentence": "Sentence",
            "hook_url": "Hook",
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("closed_action"):
            for name, message in numbers.missing_when_closed(cleaned).items():
                if name not in self.errors:
                    self.add_error(name, message)
        return cleaned


class TrunkChoice(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        ours = "" if obj.owner_id == obj.tenant_id else ", of the agency"
        return f"{obj.trunk.name} ({obj.channels} lines{ours})"


class NumberStateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [
            ("used", "In use"),
            ("unanswered", "Without an agent"),
            ("trouble", "Not as it should be on the server"),
            ("released", "Released"),
        ]

    def queryset(self, _request: HttpRequest, rows: QuerySet[PhoneNumber]) -> QuerySet[PhoneNumber]:
        match self.value():
            case "used":
                return rows.filter(released_at=None)
            case "unanswered":
                return rows.filter(released_at=None, agent=None)
            case "trouble":
                return rows.filter(released_at=None).exclude(sync_error="", drift="")
            case "released":
                return rows.exclude(released_at=None)
        return rows


@admin.register(PhoneNumber)
class NumberAdmin(PhoneSearchMixin, ServiceAdmin):
    form = NumberForm
    list_display = ["phone", "label", "state", "agent", "open_hours", "trunk", "tenant"]
    list_filter = [NumberStateFilter]
    list_select_related = ["tenant", "agent", "grant__trunk"]
    search_fields = ["phone", "label"]
    search_help_text = "Number or label"
    change_form_outer_before_template = "admin/calls/phonenumber/head.html"
    empty_title = "No numbers yet"
    empty_hint = (
        "Choose the tenant in the header and add a number you have at the carrier of one of its trunks; then choose the agent "
        "that answers. Without a trunk, add that first."
    )
    empty_link = ("Open Trunks", "admin:calls_siptrunk_changelist")

    def get_fields(self, _request: HttpRequest, obj: PhoneNumber | None = None) -> list[str]:
        return [*FIELDS, *SHOWN] if obj else FIELDS

    def get_readonly_fields(self, _request: HttpRequest, obj: PhoneNumber | None = None) -> list[str]:
        return ["phone", *SHOWN] if obj else []

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "grant":
            grants = TrunkGrant.objects.filter(revoked_at=None).select_related("trunk")
            kwargs |= {"queryset": grants, "form_class": TrunkChoice, "label": "Trunk"}
        else:
            kwargs |= {"queryset": Agent.objects.filter(archived_at=None)}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: PhoneNumber | None = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and not (obj and obj.released_at)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        with self.row_scope(object_id):
            row = self.get_object(request, unquote(object_id)) if object_id else None
            may = {"may_change": request.user.has_perm(CHANGE), "may_release": request.user.has_perm(RELEASE)}
            shown = {"state": number_state(row), **may} if row else {"has_trunks": self._has_trunks(request)}
            return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def save_model(self, request: HttpRequest, obj: PhoneNumber, form: Any, change: bool) -> None:
        if change:
            had = obj.hook_secret is not None
            row = numbers.change_number(number=obj, actor=staff_user(request), **form.cleaned_data)
        else:
            had, row = False, numbers.add_number(actor=staff_user(request), **form.cleaned_data)
            obj.pk, obj.tenant_id, obj._state.adding = row.pk, row.tenant_id, False
        if row.hook_secret is not None and not had:
            setattr(obj, SECRET_TO_SHOW, row.hook_secret.reveal())

    def response_add(self, request: HttpRequest, obj: PhoneNumber, post_url_continue: str | None = None) -> Any:
        if secret := getattr(obj, SECRET_TO_SHOW, ""):
            return self._show_secret(request, obj, secret)
        return super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: PhoneNumber) -> Any:
        if secret := getattr(obj, SECRET_TO_SHOW, ""):
            return self._show_secret(request, obj, secret)
        return super().response_change(request, obj)

    def _show_secret(self, request: HttpRequest, row: PhoneNumber, secret: str) -> HttpResponseBase:
        shown = {"secret": secret, "number_url": self.row_url("change", row)}
        return self.page(request, "admin/calls/phonenumber/secret.html", row=row, title="The hook's secret", **shown)

    def _has_trunks(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and TrunkGrant.objects.filter(revoked_at=None).exists()

    def get_urls(self) -> list[URLPattern]:
        release = self.deed(RELEASE, _release, done="It routes nowhere any more. At the carrier nothing has changed.")
        rotate = self.row_path("rotate/", require_POST(self.rotate_view), "rotate")
        ask = self.row_path("hook/", require_POST(self.hook_view), "hook")
        return [self.row_path("release/", release, "release"), rotate, ask, *super().get_urls()]

    def hook_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Asks the number's hook as if somebody called, and shows what it says."""
        row: PhoneNumber = self.row_or_404(request, object_id)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        if not row.hook_url:
            messages.error(request, "The number has no hook to ask. Enter its address and save first.")
            return redirect(self.row_url("change", row))
        attempt = ask_hook(row, MADE_UP_CALLER, caller_context(MADE_UP_CALLER))
        shown = {"attempt": attempt, "caller": MADE_UP_CALLER, "budget_s": BUDGET_S, "number_url": self.row_url("change", row)}
        return self.page(request, "admin/calls/phonenumber/hook.html", row=row, title=f"The hook of {row.phone}", **shown)

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        row: PhoneNumber = self.row_or_404(request, object_id)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        form = ReasonForm(request.POST)
        if form.is_valid():
            secret = numbers.rotate_hook_secret(number=row, actor=staff_user(request), reason=form.cleaned_data["reason"])
            return self._show_secret(request, row, secret)
        messages.error(request, "Nothing was done: say why, it is kept in the audit.")
        return redirect(self.row_url("change", row))

    @admin.display(description="state")
    def state(self, row: PhoneNumber) -> SafeString:
        return number_state(row).badge

    @admin.display(description="open")
    def open_hours(self, row: PhoneNumber) -> str:
        return hours_text(row.hours)

    @admin.display(description="trunk")
    def trunk(self, row: PhoneNumber) -> str:
        return row.grant.trunk.name

    @admin.display(description="metadata")
    def metadata_text(self, row: PhoneNumber) -> SafeString | str:
        return format_html_join("\n", "<div>{}: {}</div>", sorted(row.metadata.items())) or EMPTY

    @admin.display(description="on the server since")
    def synced(self, row: PhoneNumber) -> SafeString | str:
        return moment(row.synced_at, row.tenant.timezone, seconds=True)

    @admin.display(description="added", ordering="id")
    def created(self, row: PhoneNumber) -> SafeString | str:
        return moment(row.created_at, row.tenant.timezone)


def _release(number: PhoneNumber, *, actor: Any, reason: str) -> None:
    numbers.release_number(number=number, actor=actor, reason=reason)
