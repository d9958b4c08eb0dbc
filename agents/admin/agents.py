"""The list of agents, and the page of one: settings, tools, versions, preview."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import DropdownFilter

from agents.admin import editing, preview, versions
from agents.admin.forms import NewAgentForm
from agents.errors import AgentsError, InvalidSettingsError
from agents.models import Agent, AgentVersion
from agents.services import archive_agent, create_agent, publish, restore_agent, roll_back, start_draft
from tenants.admin.base import ConsoleAdmin, Tab, rendered
from tenants.display import badge, moment
from tenants.staff import staff_user

PUBLISH = "agents.publish_agent"


class InUseFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [("archived", "Archived"), ("unpublished", "Never published"), ("all", "All, also archived")]

    def queryset(self, _request: HttpRequest, agents: QuerySet[Agent]) -> QuerySet[Agent]:
        if self.value() == "archived":
            return agents.exclude(archived_at=None)
        if self.value() == "unpublished":
            return agents.filter(published_version=None, archived_at=None)
        return agents if self.value() == "all" else agents.filter(archived_at=None)


class AgentAdmin(ConsoleAdmin):
    list_display = ["name", "tenant", "state", "description", "created"]
    list_filter = [InUseFilter]
    list_select_related = ["tenant", "published_version"]
    search_fields = ["name", "description"]
    search_help_text = "Name or description"
    fields = ["name", "description"]
    ordering = ["name"]
    empty_title = "No agents yet"
    empty_hint = (
        "An agent is who callers talk to. Choose a tenant in the header, then add one; it starts with a draft "
        "you can try at once with a simulated call."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agent]:
        drafts = AgentVersion.objects.filter(agent=OuterRef("pk"), state=AgentVersion.State.DRAFT)
        agents: QuerySet[Agent] = super().get_queryset(request)
        return agents.annotate(has_draft=Exists(drafts))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Agent | None:
        agent: Agent | None = super().get_object(request, object_id, from_field)
        return agent

    def has_delete_permission(self, _request: HttpRequest, _obj: Agent | None = None) -> bool:
        """Agents are archived: their calls stay."""
        return False

    def has_publish_permission(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request) and request.user.has_perm(PUBLISH)

    @admin.display(description="version")
    def state(self, agent: Agent) -> SafeString:
        if agent.archived_at is not None:
            return badge("archived")
        if agent.published_version is None:
            return badge("draft only", "warning", title="Publish it before calls can use it")
        number = agent.published_version.number
        return badge(f"v{number} + draft", "info") if agent.has_draft else badge(f"v{number}", "success")  # type: ignore[attr-defined]

    @admin.display(description="created", ordering="created_at")
    def created(self, agent: Agent) -> str:
        return moment(agent.created_at, agent.tenant.timezone)

    def get_urls(self) -> list[URLPattern]:
        own = [
            self.row_path("tools/", self.tools_view, "tools"),
            self.row_path("versions/", self.versions_view, "versions"),
            self.row_path("preview/", self.preview_view, "preview"),
            self.row_path("publish/", require_POST(self.publish_view), "publish"),
            self.row_path("start-draft/", require_POST(self.start_draft_view), "start_draft"),
            self.row_path("roll-back/", require_POST(self.roll_back_view), "roll_back"),
            self.row_path("archive/", require_POST(self.archive_view), "archive"),
        ]
        return [*own, *super().get_urls()]

    def tabs(self, agent: Agent, current: str) -> list[Tab]:
        names = [("change", "Settings"), ("tools", "Tools"), ("versions", "Versions"), ("preview", "Preview")]
        return [Tab(title, self.row_url(name, agent), name == current) for name, title in names]

    def agent_page(self, request: HttpRequest, agent: Agent, *, tab: str, template: str = "", **context: Any) -> TemplateResponse:
        """One tab of the agent's page, with what its header shows."""
        shared = {
            "agent": agent,
            "tabs": self.tabs(agent, tab),
            "draft": agent.versions.drafts().first(),
            "may_change": self.has_change_permission(request, agent) and agent.archived_at is None,
            "may_publish": self.has_publish_permission(request) and agent.archived_at is None,
            "urls": {name: self.row_url(name, agent) for name in ("publish", "start_draft", "roll_back", "archive", "versions")},
        }
        return self.page(request, template or f"admin/agents/agent/{tab}.html", row=agent, **(shared | context))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        if first := self.tenant_first(request):
            return first
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewAgentForm(request.POST or None)
        if form.is_valid():
            try:
                agent = create_agent(**form.cleaned_data, actor=staff_user(request))
            except InvalidSettingsError as refused:
                for field, message in refused.errors.items():
                    form.add_error(field if field in form.fields else None, message)
            else:
                return redirect(self.row_url("change", agent))
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Add agent", "form": form}
        return TemplateResponse(request, "admin/agents/agent/add.html", context)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        with self.row_scope(object_id):
            agent = self.viewable(request, str(object_id))
            return rendered(editing.settings_page(self, request, agent))

    def tools_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return editing.tools_page(self, request, self.viewable(request, object_id))

    def versions_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return versions.versions_page(self, request, self.viewable(request, object_id))

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return preview.preview_page(self, request, self.viewable(request, object_id))

    def publish_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        agent = self.viewable(request, object_id)
        if not self.has_publish_permission(request):
            raise PermissionDenied
        try:
            version = publish(agent=agent, actor=staff_user(request))
        except InvalidSettingsError as refused:
            return editing.settings_page(self, request, agent, refused=refused.errors)
        except AgentsError as refused_for:
            messages.error(request, str(refused_for))
        else:
            messages.success(request, f"Version {version.number} is published: calls use it from now on.")
        return redirect(self.row_url("change", agent))

    def start_draft_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        agent = self.changeable(request, object_id)
        number = request.POST.get("version", "")
        source = agent.versions.filter(number=int(number)).first() if number.isdecimal() else None
        try:
            draft = start_draft(agent=agent, version=source, actor=staff_user(request))
        except AgentsError as refused:
            messages.error(request, str(refused))
        else:
            messages.success(request, f"Draft {draft.number} is a copy you can change; calls keep the published version.")
        return redirect(self.row_url("change", agent))

    def roll_back_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        agent = self.viewable(request, object_id)
        if not self.has_publish_permission(request):
            raise PermissionDenied
        number = request.POST.get("version", "")
        version = get_object_or_404(agent.versions.all(), number=number if number.isdecimal() else None)
        try:
            roll_back(agent=agent, version=version, actor=staff_user(request))
        except AgentsError as refused:
            messages.error(request, str(refused))
        else:
            messages.success(request, f"Version {version.number} is live again: calls use it from now on.")
        return redirect(self.row_url("versions", agent))

    def archive_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        agent = self.changeable(request, object_id)
        if agent.archived_at is None:
            archive_agent(agent=agent, actor=staff_user(request))
            messages.success(request, f"{agent.name} is archived: it takes no calls until it is restored.")
        else:
            restore_agent(agent=agent, actor=staff_user(request))
            messages.success(request, f"{agent.name} is back in use.")
        return redirect(self.row_url("change", agent))

    def viewable(self, request: HttpRequest, object_id: str) -> Agent:
        agent: Agent = self.row_or_404(request, object_id)
        if not self.has_view_or_change_permission(request, agent):
            raise PermissionDenied
        return agent

    def changeable(self, request: HttpRequest, object_id: str) -> Agent:
        agent = self.viewable(request, object_id)
        if not self.has_change_permission(request, agent):
            raise PermissionDenied
        return agent
