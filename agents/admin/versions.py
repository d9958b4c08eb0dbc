"""The versions of an agent, and what changed between two of them."""

from typing import TYPE_CHECKING

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from agents.admin.differences import Change, changes
from agents.models import Agent, AgentVersion
from agents.selectors import granted_tools

if TYPE_CHECKING:
    from agents.admin.agents import AgentAdmin

SHOWN = 50


def versions_page(admin: "AgentAdmin", request: HttpRequest, agent: Agent) -> HttpResponseBase:
    """The newest versions; `old` and `new` compare two of them, by default the newest with the one before."""
    versions = list(agent.versions.select_related("published_by").order_by("-number")[:SHOWN])
    new = _chosen(versions, request.GET.get("new"), default=0)
    old = _chosen(versions, request.GET.get("old"), default=1)
    found: list[Change] = _compare(old, new) if old and new and old != new else []
    return admin.agent_page(request, agent, tab="versions", versions=versions, old=old, new=new, changes=found)


def _chosen(versions: list[AgentVersion], number: str | None, *, default: int) -> AgentVersion | None:
    by_number = {str(version.number): version for version in versions}
    if number in by_number:
        return by_number[number]
    return versions[default] if len(versions) > default else None


def _compare(old: AgentVersion, new: AgentVersion) -> list[Change]:
    return changes(old.settings, new.settings, old_tools=granted_tools(old), new_tools=granted_tools(new))
