"""The people who may be called, what they agreed to, and the numbers nobody calls."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from agents.models import Agent
from calls.admin.imports import ImportingAdmin
from calls.models import Consent, Lead, Suppression
from calls.services.people import change_lead, create_lead, lift_suppression, suppress
from tenants.admin.forms import ReasonForm
from tenants.display import EMPTY, badge, moment
from tenants.jobs import LEADS, SUPPRESSIONS
from tenants.staff import staff_user
from voiceplatform.lib.phone import InvalidPhoneError, to_e164

LIFT = "calls.lift_suppression"
PLACE = "calls.place_call"
MOST_AGENTS = 200


class PhoneForm(forms.ModelForm):
    def clean_phone(self) -> str:
        try:
            return to_e164(self.cleaned_data["phone"])
        except InvalidPhoneError as error:
            raise forms.ValidationError(str(error)) from error


class LeadForm(PhoneForm):
    def clean_phone(self) -> str:
        phone = super().clean_phone()
        if Lead.objects.filter(phone=phone).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("There is a lead with this number already.")
        return phone


class SuppressionForm(PhoneForm):
    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise forms.ValidationError("This moment has passed.")
        return expires_at


class PhoneSearchMixin:
    """A whole number is looked up as it is, in whatever notation it was typed."""

    search_help_text = "Number with country code"

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        try:
            return queryset.filter(phone=to_e164(search_term)), False
        except InvalidPhoneError:
            found: tuple[QuerySet, bool] = super().get_search_results(request, queryset, search_term)  # type: ignore[misc]
            return found


class ConsentInline(TabularInline):
    model = Consent
    fields = readonly_fields = ["kind", "basis", "source", "given_at", "withdrawn_at"]
    extra = 0
    can_delete = False
    verbose_name_plural = "Consents"

    def has_add_permission(self, _request: HttpRequest, _obj: Lead | None = None) -> bool:
        """Proofs come from the programs that hold them, through the API."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Lead | None = None) -> bool:
        return False


@admin.register(Lead)
class LeadAdmin(PhoneSearchMixin, ImportingAdmin):
    form = LeadForm
    import_kind = LEADS
    import_columns = (
        ("phone", "With country code, e.g. +12125550123. The one column there must be; a lead with this number is changed."),
        ("name", "As people are called."),
        ("email", "An e-mail address."),
        ("timezone", "Where the person is, e.g. America/New_York."),
        ("language", "E.g. en, de or pt-BR."),
        ("metadata.<key>", "A text of your own, e.g. metadata.crm_id."),
    )
    list_display = ["phone", "name", "state", "timezone", "tenant", "created"]
    list_select_related = ["tenant"]
    search_fields = ["phone", "name", "email"]
    search_help_text = "Number, name or e-mail"
    fields = ["phone", "name", "email", "timezone", "language", "metadata_text", "created"]
    readonly_fields = ["metadata_text", "created"]
    inlines = [ConsentInline]
    actions = None
    change_form_outer_before_template = "admin/calls/lead/head.html"
    empty_title = "No leads yet"
    empty_hint = "A lead is a person an agent may call. Import a list, add them one by one, or through the API."
    empty_link = ("Import a list", "admin:calls_lead_import_list")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lead]:
        held = Suppression.objects.in_force(timezone.now()).filter(tenant=OuterRef("tenant"), phone=OuterRef("phone"))
        agreed = Consent.objects.filter(lead=OuterRef("pk"), kind=Consent.Kind.CALLS, withdrawn_at=None)
        leads: QuerySet[Lead] = super().get_queryset(request)
        return leads.annotate(is_suppressed=Exists(held), agreed=Exists(agreed))

    def get_inlines(self, _request: HttpRequest, obj: Lead | None) -> list[Any]:
        return self.inlines if obj else []

    def has_delete_permission(self, _request: HttpRequest, _obj: Lead | None = None) -> bool:
        """Leads are erased as a person, with everything about them."""
        return False

    def has_call_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PLACE) and request.user.has_perm("agents.view_agent")

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        with self.row_scope(object_id):
            callers = list(_callers()[:MOST_AGENTS]) if object_id and self.has_call_permission(request) else []
            return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), "callers": callers})

    def get_urls(self) -> list[URLPattern]:
        return [self.row_path("call/", require_safe(self.call_view), "call"), *super().get_urls()]

    def call_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """To the page of the agent that was chosen to call this person."""
        lead: Lead = self.row_or_404(request, object_id)
        if not (self.has_view_permission(request, lead) and self.has_call_permission(request)):
            raise PermissionDenied
        agent = next((agent for agent in _callers() if str(agent.pk) == request.GET.get("agent")), None)
        if agent is None:
            raise Http404("There is no such agent.")
        return redirect(f"{reverse('admin:agents_agent_call', args=[agent.pk])}?lead={lead.pk}")

    def save_model(self, request: HttpRequest, obj: Lead, form: Any, change: bool) -> None:
        if change:
            change_lead(lead=obj, fields=form.changed_data, actor=staff_user(request))
        else:
            create_lead(lead=obj, actor=staff_user(request))

    @admin.display(description="may be called")
    def state(self, lead: Any) -> SafeString:
        if lead.is_suppressed:
            return badge("do not call", "danger", title="The number is suppressed")
        return badge("agreed to calls", "success") if lead.agreed else badge("no consent on record")

    @admin.display(description="metadata")
    def metadata_text(self, lead: Lead) -> SafeString | str:
        return format_html_join("\n", "<div>{}: {}</div>", sorted(lead.metadata.items())) or EMPTY

    @admin.display(description="created", ordering="id")
    def created(self, lead: Lead) -> str:
        return moment(lead.created_at, lead.tenant.timezone) if lead.created_at else EMPTY


def _callers() -> QuerySet[Agent]:
    """The agents that could call somebody."""
    agents: QuerySet[Agent] = Agent.objects.filter(archived_at=None).exclude(published_version=None).order_by("name")
    return agents


class ActiveFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [("active", "Holds now"), ("over", "Lifted or expired")]

    def queryset(self, _request: HttpRequest, rows: QuerySet[Suppression]) -> QuerySet[Suppression]:
        active = Suppression.objects.in_force(timezone.now())
        if self.value() == "active":
            return rows.filter(pk__in=active)
        return rows.exclude(pk__in=active) if self.value() == "over" else rows


@admin.register(Suppression)
class SuppressionAdmin(PhoneSearchMixin, ImportingAdmin):
    """Numbers are added, and lifted with a reason; nothing is edited or deleted."""

    import_kind = SUPPRESSIONS
    import_columns = (
        ("phone", "With country code, e.g. +12125550123. The one column there must be."),
        ("reason", "E.g. asked by e-mail not to be called."),
        ("source", "customer, agent, import or complaint; import where it is empty."),
        ("expires_at", "From when calls may be placed again, e.g. 2030-12-31; empty for never."),
    )
    form = SuppressionForm
    list_display = ["phone", "state", "source", "reason", "tenant", "added"]
    list_filter = [ActiveFilter, ("source", ChoicesDropdownFilter)]
    list_select_related = ["tenant"]
    search_fields = ["phone", "reason"]
    actions = None
    change_form_outer_before_template = "admin/calls/suppression/head.html"
    empty_title = "Every number may be called"
    empty_hint = (
        "Add the numbers of people who do not want to be called. What is on an agency's list is called for none of its customers."
    )
    empty_link = ("Import a list", "admin:calls_suppression_import_list")

    def get_fields(self, _request: HttpRequest, obj: Suppression | None = None) -> list[str]:
        asked = ["phone", "reason", "source", "expires_at"]
        return [*asked, "state", "added", "lifted", "lifted_by", "lift_reason"] if obj else asked

    def has_change_permission(self, _request: HttpRequest, _obj: Suppression | None = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Suppression | None = None) -> bool:
        return False

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(LIFT)

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        done = suppress(**form.cleaned_data, actor=staff_user(request))
        obj.pk, obj._state.adding = done.row.pk, False
        if not done.was_new:
            messages.info(request, "The number was suppressed already; that stays, for the longer of the two times.")

    @admin.display(description="state")
    def state(self, row: Suppression) -> SafeString:
        if row.is_in_force(timezone.now()):
            return badge("do not call", "danger")
        return badge("lifted" if row.lifted_at else "expired")

    @admin.display(description="added", ordering="id")
    def added(self, row: Suppression) -> str:
        return moment(row.created_at, row.tenant.timezone)

    @admin.display(description="lifted")
    def lifted(self, row: Suppression) -> str:
        return moment(row.lifted_at, row.tenant.timezone)

    def get_urls(self) -> list[URLPattern]:
        return [self.row_path("lift/", require_POST(self.lift_view), "lift"), *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        offer = {"may_lift": self.has_lift_permission(request)}
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **offer})

    def lift_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        row: Suppression = self.row_or_404(request, object_id)
        if not (self.has_view_permission(request, row) and self.has_lift_permission(request)):
            raise PermissionDenied
        form = ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, "The number stays suppressed: say why it may be called again, it is kept.")
        elif lift_suppression(suppression=row, reason=form.cleaned_data["reason"], actor=staff_user(request)):
            messages.success(request, "The number may be called again.")
        else:
            messages.info(request, "It was lifted already.")
        return redirect(self.row_url("change", row))
