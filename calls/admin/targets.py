"""The people and queues agents may hand calls to."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import now
from unfold.contrib.filters.admin import DropdownFilter

from agents.models import TransferTarget
from agents.selectors import agents_using_target
from calls.admin.hours import HoursField, hours_text
from calls.admin.people import PhoneSearchMixin
from calls.admin.telephony import ServiceAdmin, ServiceForm, State
from calls.errors import InUseError
from calls.services import targets
from calls.services.hours import weekly
from calls.windows import is_open
from tenants.staff import staff_user
from voiceplatform.lib.phone import LONGEST_TEXT, InvalidPhoneError, to_e164

FIELDS = ["name", "kind", "when", "phone", "digits", "mode", "ring_s", "priority", "timezone", "hours", "enabled"]


class TargetForm(ServiceForm):
    hours = HoursField(
        required=False, help_text="On the clock above. None: always there. Empty a row to take it away; save for more rows."
    )

    class Meta:
        labels: ClassVar = {"when": "What they are for", "mode": "How", "ring_s": "Rings for", "digits": "Keys after the answer"}

    def clean_phone(self) -> str:
        try:
            return to_e164(self.cleaned_data["phone"])
        except InvalidPhoneError as error:
            raise forms.ValidationError(str(error), code="invalid_number") from error


class TargetStateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [("on", "Switched on"), ("off", "Switched off")]

    def queryset(self, _request: HttpRequest, rows: QuerySet[TransferTarget]) -> QuerySet[TransferTarget]:
        return rows.filter(enabled=self.value() == "on") if self.value() in ("on", "off") else rows


@admin.register(TransferTarget)
class TransferTargetAdmin(PhoneSearchMixin, ServiceAdmin):
    form = TargetForm
    list_display = ["name", "phone", "state", "kind_word", "mode_word", "open_hours", "priority", "tenant"]
    list_filter = [TargetStateFilter]
    list_select_related = ["tenant"]
    ordering = ["priority", "name"]
    search_fields = ["name", "phone"]
    search_help_text = "Name or number"
    empty_title = "No transfer targets yet"
    empty_hint = (
        "A target is a person or a queue an agent may hand a call to. Choose the tenant in the header and add one; then choose "
        "it in the settings of an agent, under Handing over, and grant the agent the tool Hand over to a person."
    )
    empty_link = ("Open Agents", "admin:agents_agent_changelist")

    def get_fields(self, _request: HttpRequest, obj: TransferTarget | None = None) -> list[str]:
        return [*FIELDS, "used_by"] if obj else FIELDS

    def get_readonly_fields(self, _request: HttpRequest, obj: TransferTarget | None = None) -> list[str]:
        return ["used_by"] if obj else []

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "phone" and field is not None:
            # What people write has spaces and brackets, and is longer than what is kept.
            field = db_field.formfield(max_length=LONGEST_TEXT, widget=field.widget, help_text=db_field.help_text)
        return field

    def save_model(self, request: HttpRequest, obj: TransferTarget, form: Any, change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in FIELDS}
        if change:
            targets.change_target(target=obj, actor=staff_user(request), **given)
        else:
            row = targets.create_target(actor=staff_user(request), **given)
            obj.pk, obj.tenant_id, obj._state.adding = row.pk, row.tenant_id, False

    def has_delete_permission(self, request: HttpRequest, obj: TransferTarget | None = None) -> bool:
        return request.user.has_perm("agents.delete_transfertarget")

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except InUseError as refused:
            return self._not_deleted(request, object_id, refused)

    def _not_deleted(self, request: HttpRequest, object_id: str, refused: InUseError) -> HttpResponseBase:
        messages.error(request, str(refused))
        return redirect(self.row_url("change", self.row_or_404(request, object_id)))

    def delete_model(self, request: HttpRequest, obj: TransferTarget) -> None:
        targets.delete_target(target=obj, actor=staff_user(request))

    @admin.display(description="state")
    def state(self, row: TransferTarget) -> SafeString:
        if not row.enabled:
            return State("off", "neutral", "No call is handed to it.", "Switch it on when somebody is there again.").badge
        if row.hours and not is_open(weekly(row.hours), [row.timezone or row.tenant.timezone], now()):
            return State("closed now", "info", "It is outside its hours, so others are tried.").badge
        return State("ready", "success").badge

    @admin.display(description="kind", ordering="kind")
    def kind_word(self, row: TransferTarget) -> str:
        return row.kind

    @admin.display(description="how", ordering="mode")
    def mode_word(self, row: TransferTarget) -> str:
        return row.mode

    @admin.display(description="hours")
    def open_hours(self, row: TransferTarget) -> str:
        return hours_text(row.hours)

    @admin.display(description="agents that use it")
    def used_by(self, row: TransferTarget) -> SafeString | str:
        agents = agents_using_target(row)
        if not agents:
            return "None. Choose it in the settings of an agent, under Handing over."
        pages = ((reverse("admin:agents_agent_change", args=[agent.pk]), agent.name) for agent in agents)
        return format_html_join(", ", '<a href="{}">{}</a>', pages)
