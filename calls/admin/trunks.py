"""Trunks: their settings, their lines, and the customers who may use them."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from calls.admin.telephony import ServiceAdmin, ServiceForm, told, trunk_state
from calls.carriers import PRESETS, Carrier
from calls.models import SipTrunk, TrunkGrant
from calls.services import trunks
from calls.services.lines import Lines, count_lines
from tenants.display import moment
from tenants.models import Tenant
from tenants.staff import staff_user
from voiceplatform.lib.schema_fields import LinesField

CHANGE, RETIRE = "calls.change_siptrunk", "calls.delete_siptrunk"
FIELDS = [
    "name",
    "carrier",
    "account",
    "address",
    "transport",
    "auth_username",
    "password",
    "allowed_addresses",
    "cps",
    "channels",
    "billed_as",
    "billing_minimum_s",
    "billing_step_s",
]


class TrunkForm(ServiceForm):
    password = forms.CharField(
        required=False,
        max_length=200,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="It is shown to nobody. Empty: what is kept stays, for as long as there is a user name.",
    )
    allowed_addresses = LinesField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2, "placeholder": "203.0.113.0/28"}),
        help_text="Where inbound calls may come from, one address or network a line. Empty: from anywhere.",
    )

    class Meta:
        labels: ClassVar = {"auth_username": "User name", "cps": "Calls a second", "channels": "Lines"}

    def values(self) -> dict[str, Any]:
        """What the service is to store."""
        given = dict(self.cleaned_data)
        password = given.pop("password", "")
        if password:
            given["auth_password"] = password
        elif not given.get("auth_username") and self.instance.auth_password is not None:
            given["auth_password"] = None
        return given


class GrantForm(forms.Form):
    customer = forms.ModelChoiceField(Tenant.objects.none(), widget=UnfoldAdminSelectWidget)
    channels = forms.IntegerField(min_value=1, widget=UnfoldAdminIntegerFieldWidget)
    reserved_inbound = forms.IntegerField(min_value=0, initial=0, widget=UnfoldAdminIntegerFieldWidget)
    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, error_messages={"required": "Say why."})

    def __init__(self, *args: Any, trunk: SipTrunk, **options: Any) -> None:
        super().__init__(*args, **options)
        customers = Tenant.objects.filter(agency_id=trunk.tenant_id) | Tenant.objects.filter(pk=trunk.tenant_id)
        self.fields["customer"].queryset = customers.order_by("name")  # type: ignore[attr-defined]


class TrunkStateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [
            ("used", "In use"),
            ("stopped", "Stopped"),
            ("trouble", "Not as it should be on the server"),
            ("retired", "Retired"),
        ]

    def queryset(self, _request: HttpRequest, rows: QuerySet[SipTrunk]) -> QuerySet[SipTrunk]:
        match self.value():
            case "used":
                return rows.filter(retired_at=None)
            case "stopped":
                return rows.exclude(stopped_at=None)
            case "trouble":
                return rows.filter(retired_at=None).exclude(sync_error="", drift="")
            case "retired":
                return rows.exclude(retired_at=None)
        return rows


@admin.register(SipTrunk)
class TrunkAdmin(ServiceAdmin):
    class Media:
        js = ("voiceplatform/trunk.js",)

    form = TrunkForm
    list_display = ["name", "state", "carrier", "address", "pace", "tenant", "synced"]
    list_filter = [TrunkStateFilter, ("carrier", ChoicesDropdownFilter)]
    list_select_related = ["tenant"]
    search_fields = ["name", "address"]
    search_help_text = "Name or address"
    change_form_outer_before_template = "admin/calls/siptrunk/head.html"
    change_form_outer_after_template = "admin/calls/siptrunk/grants.html"
    empty_title = "No trunks yet"
    empty_hint = (
        "A trunk is the way to and from a carrier such as Vonage. Have its address and credentials ready, choose the tenant in "
        "the header and add one; then add the numbers you have there. A customer needs none where its agency's is granted."
    )

    def get_fields(self, _request: HttpRequest, obj: SipTrunk | None = None) -> list[str]:
        return [*FIELDS, "synced", "created"] if obj else FIELDS

    def get_readonly_fields(self, _request: HttpRequest, obj: SipTrunk | None = None) -> list[str]:
        return ["synced", "created"] if obj else []

    def get_changeform_initial_data(self, _request: HttpRequest) -> dict[str, str]:
        preset = PRESETS[Carrier.VONAGE]
        return {"carrier": Carrier.VONAGE, **{name: str(getattr(preset, name)) for name in _PRESET_FIELDS}}

    def has_change_permission(self, request: HttpRequest, obj: SipTrunk | None = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and not (obj and obj.retired_at)

    def save_model(self, request: HttpRequest, obj: SipTrunk, form: TrunkForm, change: bool) -> None:
        if change:
            trunks.change_trunk(trunk=obj, actor=staff_user(request), **form.values())
        else:
            made = trunks.create_trunk(actor=staff_user(request), **form.values())
            obj.pk, obj.tenant_id, obj._state.adding = made.pk, made.tenant_id, False

    def get_urls(self) -> list[URLPattern]:
        deeds = {
            "stop": self.deed(CHANGE, _stop, done="It places no more calls until it is resumed."),
            "resume": self.deed(CHANGE, _resume, done="It places calls again."),
            "retire": self.deed(RETIRE, _retire, done="It is out of use."),
        }
        grants = {"grant": self.grant_view, "revoke": self.revoke_view}
        views = {**deeds, **{name: require_POST(view) for name, view in grants.items()}}
        return [*(self.row_path(f"{name}/", view, name) for name, view in views.items()), *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        with self.row_scope(object_id):
            trunk = self.get_object(request, unquote(object_id)) if object_id else None
            shown = {"presets": _presets(), **(self._page_context(request, trunk) if trunk else {})}
            return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def _page_context(self, request: HttpRequest, trunk: SipTrunk) -> dict[str, Any]:
        may = {"may_change": request.user.has_perm(CHANGE), "may_retire": request.user.has_perm(RETIRE)}
        context = {"state": trunk_state(trunk), **may}
        if trunk.retired_at or not self.has_view_permission(request, trunk):
            return context
        grants = trunks.grants_of(trunk)
        form = GrantForm(trunk=trunk, auto_id="grant_%s")
        return {**context, "lines": lines_text(count_lines(trunk)), "grants": grants, "grant_form": form}

    def grant_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        trunk = self._changeable(request, object_id)
        form = GrantForm(request.POST, trunk=trunk)
        if not form.is_valid():
            told_by_field = " ".join(f"{name}: {texts[0]}" for name, texts in form.errors.items())
            messages.error(request, f"Nothing was changed. {told_by_field}")
        else:
            try:
                grant = trunks.grant_trunk(trunk=trunk, actor=staff_user(request), **form.cleaned_data)
            except ValidationError as refused:
                messages.error(request, f"Nothing was changed. {' '.join(told(refused).values())}")
            else:
                messages.success(request, f"{grant.tenant} has {grant.channels} lines of {trunk}.")
        return redirect(self.row_url("change", trunk))

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        trunk = self._changeable(request, object_id)
        grant = self._customers_grant(trunk, request.POST.get("grant", ""))

        def revoke(_row: SipTrunk, **options: Any) -> None:
            trunks.revoke_grant(grant=grant, **options)

        done = f"{grant.tenant} may not use it any more."
        return self.deed(CHANGE, revoke, done=done)(request, object_id)

    def _customers_grant(self, trunk: SipTrunk, key: str) -> TrunkGrant:
        for grant in trunks.grants_of(trunk):
            if str(grant.pk) == key and grant.tenant_id != trunk.tenant_id:
                return grant
        raise Http404("There is no such customer of this trunk.")

    def _changeable(self, request: HttpRequest, object_id: str) -> SipTrunk:
        trunk: SipTrunk = self.row_or_404(request, object_id)
        if not self.has_change_permission(request, trunk):
            raise PermissionDenied
        return trunk

    @admin.display(description="state")
    def state(self, trunk: SipTrunk) -> SafeString:
        return trunk_state(trunk).badge

    @admin.display(description="pace")
    def pace(self, trunk: SipTrunk) -> str:
        return f"{trunk.channels} at once, {trunk.cps} a second"

    @admin.display(description="on the server since", ordering="synced_at")
    def synced(self, trunk: SipTrunk) -> SafeString | str:
        return moment(trunk.synced_at, trunk.tenant.timezone, seconds=True)

    @admin.display(description="created")
    def created(self, trunk: SipTrunk) -> SafeString | str:
        return moment(trunk.created_at, trunk.tenant.timezone)


_PRESET_FIELDS = ("address", "transport", "cps", "channels", "billing_minimum_s", "billing_step_s")


def lines_text(lines: Lines) -> str:
    kept = f", {lines.kept} kept for inbound" if lines.kept else ""
    return f"{lines.taken} of {lines.channels} lines taken{kept}"


def _presets() -> dict[str, Any]:
    return {
        key: {"help": preset.help_text, "fields": {name: getattr(preset, name) for name in _PRESET_FIELDS}}
        for key, preset in PRESETS.items()
    }


def _stop(trunk: SipTrunk, *, actor: Any, reason: str) -> None:
    trunks.stop_trunk(trunk=trunk, why=reason, actor=actor)


def _resume(trunk: SipTrunk, *, actor: Any, reason: str) -> None:
    trunks.resume_trunk(trunk=trunk, actor=actor, reason=reason)


def _retire(trunk: SipTrunk, *, actor: Any, reason: str) -> None:
    trunks.retire_trunk(trunk=trunk, actor=actor, reason=reason)
