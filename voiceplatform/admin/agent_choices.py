"""Which version of an agent staff try, and with what."""

from typing import Any

from django.db.models import QuerySet

from agents.models import Agent, AgentVersion


def choices(agent: Agent) -> list[AgentVersion]:
    """The draft first: it is what somebody wants to try."""
    versions: QuerySet[AgentVersion] = agent.versions.all()
    draft, published = versions.drafts().first(), agent.published_version  # type: ignore[attr-defined]
    return [version for version in (draft, published) if version is not None]


def examples(version: AgentVersion) -> dict[str, Any]:
    """A value for each variable that has one."""
    declared = version.settings.get("variables", [])
    found = {variable["name"]: variable["example"] or variable["default"] for variable in declared}
    return {name: value for name, value in found.items() if value}
