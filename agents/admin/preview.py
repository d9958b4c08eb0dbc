"""What callers would hear and the model would read, with example values for the variables."""

from typing import TYPE_CHECKING

from django import forms
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from pydantic import ValidationError
from unfold.widgets import UnfoldAdminTextInputWidget

from agents.errors import AgentsError
from agents.models import Agent
from agents.pipeline import Variable, VersionSettings
from agents.selectors import draft_or_published
from agents.services import default_variables, render_liquid

if TYPE_CHECKING:
    from agents.admin.agents import AgentAdmin


def preview_page(admin: "AgentAdmin", request: HttpRequest, agent: Agent) -> HttpResponseBase:
    version = draft_or_published(agent)
    try:
        settings = VersionSettings.model_validate(version.settings)
    except ValidationError:
        return admin.agent_page(request, agent, tab="preview", version=version, invalid=True)
    form = _variables_form(settings.variables)(request.GET or None)
    given = form.cleaned_data if form.is_valid() else {name: field.initial for name, field in form.fields.items()}
    zone = agent.tenant.timezone
    defaults = default_variables(at=timezone.now(), timezone=zone, agent_name=agent.name, business_name=agent.tenant.name)
    values = {**defaults, **given}
    rendered = [(title, *_render(template, values)) for title, template in _texts(settings)]
    return admin.agent_page(
        request, agent, tab="preview", version=version, form=form, defaults=defaults, rendered=rendered, facts=settings.facts
    )


def _texts(settings: VersionSettings) -> list[tuple[str, str]]:
    """Everything with variables in it that is said word for word, or read by the model."""
    machines = settings.machines
    said = [
        ("Greeting", settings.opening.greeting, True),
        ("Message for the mailbox", machines.voicemail_message, machines.on_voicemail == "leave_message"),
        ("Introduction to a phone that asks who is calling", machines.introduction, machines.on_screening == "introduce"),
        ("Instructions", settings.instructions, True),
    ]
    return [
        (title if is_used else f"{title} (not used: the agent hangs up or goes on)", text)
        for title, text, is_used in said
        if text
    ]


def _variables_form(variables: tuple[Variable, ...]) -> type[forms.Form]:
    fields = {
        variable.name: forms.CharField(
            required=False, max_length=500, initial=variable.example or variable.default, widget=UnfoldAdminTextInputWidget
        )
        for variable in variables
    }
    return type("VariablesForm", (forms.Form,), fields)


def _render(template: str, values: dict[str, str]) -> tuple[str, str]:
    """The text, or the error in words."""
    try:
        return render_liquid(template, values), ""
    except AgentsError as error:
        return "", str(error)
