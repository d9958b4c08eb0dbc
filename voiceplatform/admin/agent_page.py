"""The agent's page with what the agents app cannot know: simulated calls, and the calls there were."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.views.decorators.http import require_POST, require_safe
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextInputWidget

from agents.admin.agents import AgentAdmin
from agents.errors import AgentsError, InvalidSettingsError
from agents.models import Agent, AgentVersion
from agents.personas import PERSONAS
from calls.admin.call_page import live_context
from calls.admin.hosts import taking
from calls.admin.people import PLACE
from calls.errors import CallsError
from calls.models import Call
from calls.services import place_call
from tenants.admin.base import Tab
from tenants.errors import TenantsError
from voiceplatform.admin import agent_talk
from voiceplatform.admin.agent_call import call_page
from voiceplatform.admin.agent_chat import STOP_POLLING, chat_panel, chat_said
from voiceplatform.admin.agent_choices import choices

SIMULATE = "calls.add_call"
RECENT = 10


class SimulationForm(forms.Form):
    """Which version, and who calls; one more field for each variable the version declares."""

    version = forms.ChoiceField(label="Which version", widget=UnfoldAdminRadioSelectWidget)
    persona = forms.ChoiceField(label="Who calls", widget=UnfoldAdminRadioSelectWidget)

    def __init__(self, *args: Any, versions: list[AgentVersion], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.versions = {str(version.pk): version for version in versions}
        self._offer("version", [(key, _version_label(version)) for key, version in self.versions.items()])
        self._offer("persona", [(key, persona.title) for key, persona in PERSONAS.items()])
        for version in versions:
            for variable in version.settings.get("variables", []):
                self.fields[f"variable-{variable['name']}"] = forms.CharField(
                    label=variable["name"],
                    required=False,
                    max_length=500,
                    initial=variable["example"] or variable["default"],
                    widget=UnfoldAdminTextInputWidget,
                )

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = choices
        field.initial = choices[0][0] if choices else None

    def call_arguments(self) -> dict[str, Any]:
        version = self.versions[self.cleaned_data["version"]]
        declared = [variable["name"] for variable in version.settings.get("variables", [])]
        given = {name: value for name in declared if (value := self.cleaned_data.get(f"variable-{name}"))}
        return {"version": version, "persona": self.cleaned_data["persona"], "variables": given}


@admin.register(Agent)
class AgentPageAdmin(AgentAdmin):
    def get_urls(self) -> list[URLPattern]:
        own = [
            self.row_path("simulate/", self.simulate_view, "simulate"),
            self.row_path("simulate/live/", require_safe(self.live_view), "simulate_live"),
            self.row_path("call/", self.call_view, "call"),
            self.row_path("chat/", self.chat_view, "chat"),
            self.row_path("chat/said/", require_safe(self.chat_said_view), "chat_said"),
            self.row_path("talk/", require_safe(self.talk_view), "talk"),
            self.row_path("talk/start/", require_POST(self.talk_start_view), "talk_start"),
            self.row_path("talk/said/", require_safe(self.talk_said_view), "talk_said"),
            self.row_path("talk/leave/", require_POST(self.talk_leave_view), "talk_leave"),
            self.row_path("calls/", require_safe(self.calls_view), "calls"),
        ]
        return [*own, *super().get_urls()]

    def tabs(self, agent: Agent, current: str) -> list[Tab]:
        names = [("talk", "Talk to it"), ("simulate", "Simulate a call"), ("call", "Call now"), ("calls", "Calls")]
        return [*super().tabs(agent, current), *(Tab(title, self.row_url(name, agent), name == current) for name, title in names)]

    def has_simulate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(SIMULATE)

    def simulate_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The form and, with `call` in the address, the conversation as it happens."""
        agent = self.viewable(request, object_id)
        if not self.has_simulate_permission(request):
            raise PermissionDenied
        call = _call_of(agent, request.GET.get("call", ""))
        chosen = {"version": call.version_id, "persona": call.persona} if call else None
        form = SimulationForm(request.POST or None, versions=choices(agent), initial=chosen)
        if form.is_valid() and (placed := self._place(request, agent, form)) is not None:
            return redirect(f"{self.row_url('simulate', agent)}?call={placed.pk}")
        personas = list(zip(form["persona"], PERSONAS.values(), strict=True))
        context: dict[str, Any] = {"form": form, "personas": personas, "hosts_alive": taking().exists()}
        if call is not None:
            live_url = f"{self.row_url('simulate_live', agent)}?call={call.pk}"
            context |= {"call": call, "live_url": live_url, "call_url": _call_url(call), **live_context(call)}
        return self.agent_page(request, agent, tab="simulate", **context)

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The conversation so far; the status stops the polling once it has ended."""
        agent = self.viewable(request, object_id)
        call = _call_of(agent, request.GET.get("call", ""))
        if call is None:
            raise Http404
        context = {"call_url": _call_url(call), **live_context(call)}
        status = STOP_POLLING if call.status == Call.Status.ENDED else 200
        return TemplateResponse(request, "admin/agents/agent/simulation.html", context, status=status)

    def agent_page(self, request: HttpRequest, agent: Agent, *, tab: str, template: str = "", **context: Any) -> TemplateResponse:
        """With the chat where the agent may be tried."""
        if self.has_simulate_permission(request) and agent.archived_at is None:
            context["chat_url"] = self.row_url("chat", agent)
        return super().agent_page(request, agent, tab=tab, template=template, **context)

    def call_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        agent = self.viewable(request, object_id)
        if not request.user.has_perm(PLACE):
            raise PermissionDenied
        return call_page(self, request, agent)

    def talk_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return agent_talk.talk_page(self, request, self._talkable(request, object_id))

    def talk_start_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return agent_talk.start(request, self._talkable(request, object_id))

    def talk_said_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return agent_talk.said(self._talk_of(request, object_id, request.GET))

    def talk_leave_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return agent_talk.leave(request, self._talk_of(request, object_id, request.POST))

    def _talkable(self, request: HttpRequest, object_id: str) -> Agent:
        agent = self.viewable(request, object_id)
        if not request.user.has_perm(agent_talk.TALK):
            raise PermissionDenied
        return agent

    def _talk_of(self, request: HttpRequest, object_id: str, asked: QueryDict) -> Call:
        call = _call_of(self._talkable(request, object_id), asked.get("call", ""))
        if call is None or call.kind != Call.Kind.WEB or call.livemode:
            raise Http404
        return call

    def chat_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        agent = self.viewable(request, object_id)
        if not self.has_simulate_permission(request):
            raise PermissionDenied
        return chat_panel(self, request, agent, _call_of(agent, request.GET.get("call", "")))

    def chat_said_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        agent = self.viewable(request, object_id)
        call = _call_of(agent, request.GET.get("call", ""))
        if call is None:
            raise Http404
        return chat_said(self, request, agent, call)

    def calls_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        agent = self.viewable(request, object_id)
        if not request.user.has_perm("calls.view_call"):
            raise PermissionDenied
        return redirect(f"{reverse('admin:calls_call_changelist')}?agent={agent.pk}")

    def _place(self, request: HttpRequest, agent: Agent, form: SimulationForm) -> Call | None:
        try:
            return place_call(agent=agent, kind=Call.Kind.SIMULATED, **form.call_arguments())
        except InvalidSettingsError as refused:
            named = "; ".join(f"{field}: {message}" for field, message in refused.errors.items())
            messages.error(request, f"This version cannot run yet. Correct it under Settings: {named}")
        except (AgentsError, CallsError, TenantsError) as refused:
            form.add_error(None, str(refused))
        return None


def _version_label(version: AgentVersion) -> str:
    return f"Published version {version.number}" if version.is_published else f"Draft {version.number}"


def _call_of(agent: Agent, call_id: str) -> Call | None:
    try:
        wanted = Call._meta.pk.to_python(call_id)
    except forms.ValidationError:
        return None
    return Call.objects.filter(agent=agent, pk=wanted).select_related("tenant", "agent").first() if wanted else None


def _call_url(call: Call) -> str:
    return reverse("admin:calls_call_change", args=[call.pk])
