"""The chat beside an agent's settings: what is saved answers at once."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

from agents.errors import AgentsError, InvalidSettingsError
from agents.models import Agent
from agents.selectors import draft_or_published
from calls.admin.call_page import live_context
from calls.admin.hosts import taking
from calls.errors import CallsError
from calls.models import Call, CallCommand
from calls.services.chats import LONGEST_MESSAGE, start_chat, write_message
from tenants.errors import TenantsError
from voiceplatform.admin.agent_choices import examples

if TYPE_CHECKING:
    from voiceplatform.admin.agent_page import AgentPageAdmin

STOP_POLLING = 286  # what htmx takes for it


class ChatForm(forms.Form):
    text = forms.CharField(max_length=LONGEST_MESSAGE, error_messages={"required": "Write something first."})


def chat_panel(admin: "AgentPageAdmin", request: HttpRequest, agent: Agent, call: Call | None) -> HttpResponseBase:
    """The panel; a message that is posted begins a chat with what is saved now, or goes on with `call`."""
    form = ChatForm(request.POST or None)
    if form.is_valid():
        try:
            call = _write(agent, call, form.cleaned_data["text"])
        except InvalidSettingsError as refused:
            for field, message in refused.errors.items():
                form.add_error("text", f"{field}: {message}")
        except (AgentsError, CallsError, TenantsError) as refused:
            form.add_error("text", str(refused))
    context = {"agent": agent, "version": draft_or_published(agent), "form": form, "hosts_alive": taking().exists()}
    return TemplateResponse(request, "admin/agents/agent/chat.html", context | _said(admin, agent, call))


def chat_said(admin: "AgentPageAdmin", request: HttpRequest, agent: Agent, call: Call) -> HttpResponseBase:
    """What was said so far."""
    status = STOP_POLLING if call.status == Call.Status.ENDED else 200
    return TemplateResponse(
        request, "admin/agents/agent/chat_said.html", {"agent": agent, **_said(admin, agent, call)}, status=status
    )


def _write(agent: Agent, call: Call | None, text: str) -> Call:
    if call is None or call.status == Call.Status.ENDED:
        version = draft_or_published(agent)
        call, _ = start_chat(agent=agent, version=version, message=text, variables=examples(version))
    else:
        write_message(call, text)
    return call


def _said(admin: "AgentPageAdmin", agent: Agent, call: Call | None) -> dict[str, Any]:
    urls = {"panel": admin.row_url("chat", agent), "said": admin.row_url("chat_said", agent)}
    if call is None:
        return {"call": None, "chat_urls": urls}
    messages = CallCommand.objects.filter(call=call, kind=CallCommand.Kind.MESSAGE, answered_at=None)
    waiting = call.status != Call.Status.ENDED and messages.exists()
    unread = list(messages.exclude(text="").order_by("created_at"))
    return {**live_context(call), "chat_urls": urls, "waiting": waiting, "unread": unread}
