"""The list of tenants and the page of one: general, features, members, agents, usage."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.admin import StackedInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from agents.models import Agent
from tenants.admin.base import ConsoleAdmin, Tab
from tenants.admin.forms import ReasonForm
from tenants.display import badge, moment
from tenants.lifecycle import advance
from tenants.models import Tenant, TenantLimits
from tenants.services import audit
from tenants.services.tenants import create_tenant
from tenants.staff import staff_scope, staff_user
from voiceplatform.admin import tenant_features, tenant_members, tenant_usage

SUSPEND = "tenants.suspend_tenant"
TONES = {"trial": "info", "active": "success", "suspended": "danger", "closing": "warning", "purged": "neutral"}
NAMES = [("change", "General"), ("features", "Features"), ("members", "Members"), ("agents", "Agents"), ("usage", "Usage")]


class LimitsInline(StackedInline):
    model = TenantLimits
    fields = [
        "max_open_calls", "api_requests_per_minute", "calls_per_phone_day", "calls_per_phone_week", "allowed_countries",
    ]  # fmt: skip
    min_num = max_num = 1
    can_delete = False
    extra = 0
    verbose_name_plural = "Limits"

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Tenant)
class TenantAdmin(ConsoleAdmin):
    list_display = ["name", "status_badge", "plan", "agency", "timezone", "currency", "created"]
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["agency", "plan"]
    search_fields = ["name", "slug"]
    search_help_text = "Name or short name"
    fields = ["name", "slug", "agency", "timezone", "currency"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [LimitsInline]
    change_form_outer_before_template = "admin/tenants/tenant/head.html"
    owner_field = "pk"
    empty_title = "No tenants yet"
    empty_hint = "A tenant is a customer: everything else belongs to one. Add the first, then give it an agent."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tenant]:
        tenants: QuerySet[Tenant] = super().get_queryset(request)
        scope = staff_scope(request)
        if scope is None:
            return tenants.none()
        return tenants if scope.tenant is None else tenants.filter(pk=scope.tenant.pk)

    def has_add_permission(self, request: HttpRequest) -> bool:
        scope = staff_scope(request)
        return scope is not None and scope.sees_all and super().has_add_permission(request)

    def has_delete_permission(self, _request: HttpRequest, _obj: Tenant | None = None) -> bool:
        """A tenant's life ends by closing and purging, never by a delete."""
        return False

    def has_suspend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(SUSPEND)

    def get_prepopulated_fields(self, _request: HttpRequest, obj: Tenant | None = None) -> dict[str, Any]:
        return {} if obj else self.prepopulated_fields

    def get_inlines(self, _request: HttpRequest, obj: Tenant | None) -> list[Any]:
        return self.inlines if obj else []

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> list[str]:
        scope = staff_scope(request)
        return [] if scope is not None and scope.sees_all else ["slug", "agency", "currency"]

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        if not change:
            made = create_tenant(**form.cleaned_data, actor=staff_user(request))
            obj.pk, obj._state.adding = made.pk, False
            return
        super().save_model(request, obj, form, change)
        self._note(request, "tenant.changed", obj, form)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for limits in formset.forms:
            self._note(request, "limits.changed", limits.instance, limits)

    def _note(self, request: HttpRequest, action: str, row: Model, form: Any) -> None:
        if form.changed_data:
            audit.record(action=action, target=row, actor=staff_user(request), fields=form.changed_data)

    @admin.display(description="status", ordering="status")
    def status_badge(self, tenant: Tenant) -> SafeString:
        return badge(tenant.get_status_display(), TONES[tenant.status])

    @admin.display(description="since", ordering="created_at")
    def created(self, tenant: Tenant) -> str:
        return moment(tenant.created_at, tenant.timezone)

    def get_urls(self) -> list[URLPattern]:
        own = [
            self.row_path("features/", self.features_view, "features"),
            self.row_path("members/", self.members_view, "members"),
            self.row_path("agents/", self.agents_view, "agents"),
            self.row_path("usage/", self.usage_view, "usage"),
            self.row_path("status/", require_POST(self.status_view), "status"),
        ]
        return [*own, *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        with self.row_scope(object_id):
            tenant = self.get_object(request, object_id) if object_id else None
            context = {**self.head(request, tenant, "change"), "show_save_and_add_another": False} if tenant else {}
            return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **context})

    def head(self, request: HttpRequest, tenant: Tenant, current: str) -> dict[str, Any]:
        """What the top of each tab shows."""
        return {
            "tenant": tenant,
            "tenant_tone": TONES[tenant.status],
            "tabs": [Tab(title, self.row_url(name, tenant), name == current) for name, title in NAMES],
            "may_suspend": self.has_suspend_permission(request),
            "may_change": self.has_change_permission(request, tenant),
            "status_url": self.row_url("status", tenant),
        }

    def tenant_page(self, request: HttpRequest, tenant: Tenant, *, tab: str, **context: Any) -> TemplateResponse:
        head = self.head(request, tenant, tab)
        return self.page(request, f"admin/tenants/tenant/{tab}.html", row=tenant, **(head | context))

    def features_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return tenant_features.features_page(self, request, self.viewable(request, object_id))

    def members_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return tenant_members.members_page(self, request, self.viewable(request, object_id))

    def agents_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        tenant = self.viewable(request, object_id)
        agents = Agent.objects.in_use().select_related("published_version")[:200]
        return self.tenant_page(request, tenant, tab="agents", agents=agents)

    def usage_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return tenant_usage.usage_page(self, request, self.viewable(request, object_id))

    def status_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Suspend or activate, with a reason."""
        tenant = self.viewable(request, object_id)
        if not self.has_suspend_permission(request):
            raise PermissionDenied
        to = Tenant.Status.SUSPENDED if request.POST.get("to") == Tenant.Status.SUSPENDED else Tenant.Status.ACTIVE
        form = ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, "Nothing was changed: say why, it is kept in the audit.")
        elif advance(tenant=tenant, to=to, actor=staff_user(request), reason=form.cleaned_data["reason"]):
            messages.success(request, f"{tenant.name} is {tenant.get_status_display()} now.")
        else:
            messages.error(request, f"{tenant.name} is {tenant.get_status_display()}; it cannot become {to.label} from there.")
        return redirect(self.row_url("change", tenant))

    def viewable(self, request: HttpRequest, object_id: str) -> Tenant:
        tenant: Tenant = self.row_or_404(request, object_id)
        if not self.has_view_or_change_permission(request, tenant):
            raise PermissionDenied
        return tenant
