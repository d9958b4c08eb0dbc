"""API keys: made with no more than their maker may do, shown once, revoked with a reason."""

from collections.abc import Collection, Iterator
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import DropdownFilter
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.admin.forms import ReasonForm
from tenants.display import EMPTY, badge, moment
from tenants.errors import ForbiddenScopeError
from tenants.models import ApiKey, Membership, Tenant
from tenants.roles import ROLE_SCOPES, SCOPES
from tenants.scope import current_tenant_id
from tenants.services.api_keys import NewKey, create_key, revoke_key
from tenants.staff import staff_scope, staff_user
from voiceplatform.lib.schema_fields import LinesField

REVOKE = "tenants.change_apikey"


class NewKeyForm(forms.Form):
    name = forms.CharField(
        max_length=80, widget=UnfoldAdminTextInputWidget, help_text="What will use it, e.g. CRM sync. One key for each program."
    )
    livemode = forms.ChoiceField(
        label="Mode",
        choices=[("test", "Test: its calls are test calls and count in no figure"), ("live", "Live: its calls are real")],
        initial="test",
        widget=UnfoldAdminRadioSelectWidget,
    )
    allowed_cidrs = LinesField(
        label="Networks",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2, "placeholder": "203.0.113.0/24"}),
        help_text="One a line: the key works from these networks only. Empty for any.",
    )
    last_day = forms.DateField(
        label="Last day",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="It is refused from the end of that day in the tenant's time zone. Empty for never.",
    )
    scopes = forms.MultipleChoiceField(error_messages={"required": "Choose at least one thing the key may do."})

    def __init__(self, *args: Any, tenant: Tenant, grantable: Collection[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tenant = tenant
        scopes = self.fields["scopes"]
        assert isinstance(scopes, forms.MultipleChoiceField)  # noqa: S101 - declared above
        scopes.choices = [(scope, words) for scope, words in SCOPES.items() if scope in grantable]

    def groups(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Scopes by what they are about, for a template."""
        sent = set(self.data.getlist("scopes")) if self.is_bound else set()  # type: ignore[attr-defined]
        found: dict[str, list[dict[str, Any]]] = {}
        for scope, words in self.fields["scopes"].choices:  # type: ignore[attr-defined]
            title = scope.partition(":")[0].replace("_", " ").capitalize().replace("Api", "API")
            found.setdefault(title, []).append({"scope": scope, "words": words, "checked": scope in sent})
        yield from found.items()

    def key_arguments(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "name": data["name"],
            "livemode": data["livemode"] == "live",
            "scopes": data["scopes"],
            "allowed_cidrs": data["allowed_cidrs"],
            "expires_at": self._expires_at(),
        }

    def _expires_at(self) -> datetime | None:
        if (last_day := self.cleaned_data["last_day"]) is None:
            return None
        return datetime.combine(last_day + timedelta(days=1), time(), tzinfo=ZoneInfo(self._tenant.timezone))


class StateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [("usable", "Usable"), ("revoked", "Revoked"), ("expired", "Expired"), ("unused", "Usable, never used")]

    def queryset(self, _request: HttpRequest, keys: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        now = timezone.now()
        usable = keys.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
        match self.value():
            case "usable":
                return usable
            case "revoked":
                return keys.exclude(revoked_at=None)
            case "expired":
                return keys.filter(revoked_at=None, expires_at__lte=now)
            case "unused":
                return usable.filter(last_used_at=None)
        return keys


class ModeFilter(DropdownFilter):
    title = "mode"
    parameter_name = "mode"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [("live", "Live"), ("test", "Test")]

    def queryset(self, _request: HttpRequest, keys: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        return keys.filter(livemode=self.value() == "live") if self.value() in ("live", "test") else keys


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["name", "tenant", "start", "mode", "scope_count", "used", "expiry", "state"]
    list_filter = [StateFilter, ModeFilter]
    list_select_related = ["tenant"]
    search_fields = ["name", "prefix"]
    search_help_text = "Name, or the start of the key"
    ordering = ["-id"]
    actions = None
    fields = ["name", "tenant", "start", "mode", "state", "may", "networks", "used", "expiry", "created", "created_by"]
    readonly_fields = fields
    change_form_outer_before_template = "admin/tenants/apikey/head.html"
    empty_title = "No API keys yet"
    empty_hint = "Programs sign in with a key. Choose a tenant in the header, then add a key; it is shown once."

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[ApiKey], search_term: str) -> tuple[QuerySet, bool]:
        """Also finds a whole key that somebody pasted, by its prefix alone."""
        parts = search_term.strip().split("_")
        wanted = parts[2] if len(parts) > 2 and parts[0] == "vp" else search_term
        found: tuple[QuerySet, bool] = super().get_search_results(request, queryset, wanted)
        return found

    def may_add(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tenants.add_apikey") and bool(_grantable(request))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(REVOKE)

    def get_urls(self) -> list[URLPattern]:
        return [self.row_path("revoke/", require_POST(self.revoke_view), "revoke"), *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        if first := self.tenant_first(request):
            return first
        if not self.has_add_permission(request):
            raise PermissionDenied
        tenant, grantable = Tenant.objects.get(pk=current_tenant_id()), _grantable(request)
        form = NewKeyForm(request.POST or None, tenant=tenant, grantable=grantable)
        made = self._make(request, form, grantable) if form.is_valid() else None
        context = {"title": f"{made.row.name} is ready" if made else "Add API key", "form": form, "tenant": tenant, "made": made}
        template = f"admin/tenants/apikey/{'made' if made else 'add'}.html"
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "list_url": self.list_url()}
        return TemplateResponse(request, template, {**shared, **context})

    def _make(self, request: HttpRequest, form: NewKeyForm, grantable: frozenset[str]) -> NewKey | None:
        try:
            return create_key(**form.key_arguments(), actor=staff_user(request), may_grant=grantable)
        except ForbiddenScopeError as refused:
            form.add_error("scopes", str(refused))
        except ValidationError as refused:
            for field, errors in refused.message_dict.items():
                name = {"expires_at": "last_day"}.get(field, field)
                form.add_error(name if name in form.fields else None, errors)
        return None

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        offer = {"may_revoke": self.has_revoke_permission(request)}
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **offer})

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        key: ApiKey = self.row_or_404(request, object_id)
        if not (self.has_view_permission(request, key) and self.has_revoke_permission(request)):
            raise PermissionDenied
        form = ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, "Nothing was revoked: say why, it is kept in the audit.")
        elif revoke_key(key=key, actor=staff_user(request), reason=form.cleaned_data["reason"]):
            messages.success(request, f"{key.name} is refused everywhere within seconds.")
        else:
            messages.info(request, f"{key.name} had been revoked already.")
        return redirect(self.row_url("change", key))

    @admin.display(description="start of key", ordering="prefix")
    def start(self, key: ApiKey) -> SafeString:
        return format_html('<span class="vp-mono">{}</span>', key.shown)

    @admin.display(description="mode", ordering="livemode")
    def mode(self, key: ApiKey) -> SafeString:
        return badge("live", "info") if key.livemode else badge("test")

    @admin.display(description="scopes")
    def scope_count(self, key: ApiKey) -> str:
        return f"{len(key.scopes)} of {len(SCOPES)}"

    @admin.display(description="last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> SafeString | str:
        return moment(key.last_used_at, key.tenant.timezone) if key.last_used_at else "never"

    @admin.display(description="expires", ordering="expires_at")
    def expiry(self, key: ApiKey) -> SafeString | str:
        return moment(key.expires_at, key.tenant.timezone) if key.expires_at else "never"

    @admin.display(description="state")
    def state(self, key: ApiKey) -> SafeString:
        if key.revoked_at is not None:
            return badge("revoked", "danger")
        if key.expires_at is not None and key.expires_at <= timezone.now():
            return badge("expired", "warning")
        return badge("usable", "success")

    @admin.display(description="may")
    def may(self, key: ApiKey) -> SafeString | str:
        lines = [(scope, SCOPES.get(scope, "")) for scope in key.scopes]
        return format_html_join("", '<div><span class="vp-mono">{}</span> {}</div>', lines) or EMPTY

    @admin.display(description="networks")
    def networks(self, key: ApiKey) -> str:
        return ", ".join(key.allowed_cidrs) or "any"

    @admin.display(description="created", ordering="id")
    def created(self, key: ApiKey) -> SafeString | str:
        return moment(key.created_at, key.tenant.timezone)


def _grantable(request: HttpRequest) -> frozenset[str]:
    """What a key made by this person may do: all, or what the person's own role may."""
    scope = staff_scope(request)
    if scope is None:
        return frozenset()
    if scope.sees_all:
        return frozenset(SCOPES)
    role = Membership.objects.filter(user=staff_user(request), tenant=scope.tenant).values_list("role", flat=True).first()
    return ROLE_SCOPES.get(role or "", frozenset())
