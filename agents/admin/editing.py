"""Changing a draft: its settings as a form drawn from their schema, and the tools it may use."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from agents import catalogue
from agents.admin.forms import NoteForm
from agents.errors import AgentsError, InvalidSettingsError
from agents.models import Agent, AgentVersion
from agents.pipeline import VersionSettings
from agents.selectors import draft_or_published, granted_tools, target_choices
from agents.services import save_draft
from agents.tools import TOOLS
from tenants.admin.forms import console_form
from tenants.features import FEATURES
from tenants.services.features import enabled_features
from tenants.staff import staff_user
from voiceplatform.lib.schema_forms import SchemaForm

if TYPE_CHECKING:
    from agents.admin.agents import AgentAdmin


def settings_page(
    admin: "AgentAdmin", request: HttpRequest, agent: Agent, *, refused: Mapping[str, str] | None = None
) -> HttpResponseBase:
    """The settings form; `refused` are errors that publishing found in the stored draft."""
    version = draft_or_published(agent)
    form_class = console_form(VersionSettings, choices={**catalogue.form_choices(), "transfer.targets": target_choices})
    saving = request.method == "POST" and refused is None
    form = form_class(request.POST if saving else None, initial=version.settings)
    note = NoteForm(request.POST if saving else None, initial={"note": version.note})
    if saving:
        _may_save(admin, request, agent, version)
        if form.is_valid() and note.is_valid() and _save(request, agent, form, note, tools=granted_tools(version)):
            messages.success(request, "The draft is saved. Try it with a simulated call, then publish it.")
            return redirect(admin.row_url("change", agent))
    if refused is not None:
        show_errors(form, refused)
    if version.is_published:
        _disable(form)
    context = {"version": version, "form": form, "note_form": note, "refused": refused is not None}
    return admin.agent_page(request, agent, tab="change", template="admin/agents/agent/settings.html", **context)


def tools_page(admin: "AgentAdmin", request: HttpRequest, agent: Agent) -> HttpResponseBase:
    version = draft_or_published(agent)
    granted = granted_tools(version)
    enabled = enabled_features()
    saving = request.method == "POST"
    rows = [_tool_row(request, key, granted=granted, enabled=enabled) for key in TOOLS]
    if saving:
        _may_save(admin, request, agent, version)
        chosen = [row for row in rows if row["on"]]
        if all(row["form"].is_valid() for row in chosen):
            tools = {row["key"]: row["form"].to_data() for row in chosen}
            save_draft(agent=agent, settings=version.settings, tools=tools, note=version.note, actor=staff_user(request))
            messages.success(request, "The tools of the draft are saved.")
            return redirect(admin.row_url("tools", agent))
    return admin.agent_page(request, agent, tab="tools", version=version, rows=rows)


def _tool_row(request: HttpRequest, key: str, *, granted: Mapping[str, Any], enabled: Mapping[str, Any]) -> dict[str, Any]:
    spec = TOOLS[key]
    on = key in request.POST.getlist("granted") if request.method == "POST" else key in granted
    form_class = console_form(spec.config_schema)
    data = request.POST if request.method == "POST" and on else None
    feature = FEATURES[spec.feature_key] if spec.feature_key else None
    return {
        "key": key,
        "spec": spec,
        "on": on,
        "form": form_class(data, initial=granted.get(key, {}), prefix=key),
        "feature": feature,
        "feature_off": feature is not None and spec.feature_key not in enabled,
    }


def show_errors(form: SchemaForm, errors: Mapping[str, str]) -> None:
    """Mark the fields of a form that was not sent."""
    form.full_clean()
    form.cleaned_data = {}
    form.add_schema_errors(errors)


def _may_save(admin: "AgentAdmin", request: HttpRequest, agent: Agent, version: AgentVersion) -> None:
    if version.is_published or not admin.has_change_permission(request, agent):
        raise PermissionDenied


def _save(request: HttpRequest, agent: Agent, form: SchemaForm, note: Form, *, tools: Mapping[str, Any]) -> bool:
    try:
        save_draft(agent=agent, settings=form.to_data(), tools=tools, note=note.cleaned_data["note"], actor=staff_user(request))
    except InvalidSettingsError as refused:
        form.add_schema_errors(refused.errors)
        return False
    except AgentsError as refused:
        form.add_error(None, str(refused))
        return False
    return True


def _disable(form: Form) -> None:
    for field in form.fields.values():
        field.disabled = True
