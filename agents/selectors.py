"""Reading agents and their versions, and what differs between two of them. All of it needs a tenant in scope."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import F, Prefetch, Q, QuerySet
from pydantic import BaseModel

from agents.models import Agent, AgentVersion, TransferTarget
from agents.pipeline import VersionSettings, upgraded
from voiceplatform.lib.ids import InvalidIdError, from_public_id

Tools = Mapping[str, Mapping[str, Any]]
_LONGEST_NUMBER: Final = 9


@dataclass(frozen=True, slots=True)
class SettingChange:
    """`field` is dotted; `title` is what the form calls it; a value is None where a version lacks the field."""

    field: str
    title: str
    unit: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class ToolChange:
    """A tool's configurations; None where it is not granted."""

    key: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None


def agents_with_versions() -> QuerySet[Agent]:
    """Agents with their published version and, as the list `open_drafts`, their draft: two queries for any number."""
    drafts = AgentVersion.objects.drafts().defer("settings")
    agents: QuerySet[Agent] = Agent.objects.select_related("published_version")
    heavy = agents.defer("published_version__settings", "published_version__compiled")
    return heavy.prefetch_related(Prefetch("versions", queryset=drafts, to_attr="open_drafts"))


def draft_or_published(agent: Agent) -> AgentVersion:
    """The draft, or the version calls use where there is none."""
    draft: AgentVersion | None = agent.versions.drafts().first()
    # The row in hand may be older than the last publish.
    return draft or Agent.objects.select_related("published_version").get(pk=agent.pk).published_version


def granted_tools(version: AgentVersion) -> dict[str, dict[str, Any]]:
    """Key → configuration of every tool the version may use."""
    return {grant.key: grant.config for grant in version.grants.all()}


def find_version(agent: Agent, called: str) -> AgentVersion | None:
    """The agent's version of that number or public id; `draft` and `published` are names, too."""
    if called == "published":
        return agent.published_version
    if called == "draft":
        found = agent.versions.drafts()
    elif called.isascii() and called.isdecimal() and len(called) <= _LONGEST_NUMBER:
        found = agent.versions.filter(number=int(called))
    else:
        try:
            found = agent.versions.filter(pk=from_public_id(AgentVersion.public_prefix, called))
        except InvalidIdError:
            return None
    version: AgentVersion | None = found.first()
    return version


def target_choices() -> list[tuple[str, str]]:
    """The targets a version may name, as a form offers them."""
    rows = TransferTarget.objects.all()
    return [(row.public_id, row.name if row.enabled else f"{row.name} (switched off)") for row in rows]


def agents_using_target(target: TransferTarget) -> list[Agent]:
    """The agents whose draft, or whose version calls get, hands over to the target, by name."""
    naming = AgentVersion.objects.filter(settings__transfer__targets__contains=[target.public_id])
    used = naming.filter(Q(state=AgentVersion.State.DRAFT) | Q(pk=F("agent__published_version")))
    return list(Agent.objects.in_use().filter(pk__in=used.values("agent")))


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[SettingChange]:
    """Every setting that differs, in the order of the schema."""
    return list(_changed(VersionSettings, upgraded(old), upgraded(new)))


def changed_tools(old: Tools, new: Tools) -> list[ToolChange]:
    return [ToolChange(key, old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)]


def _changed(
    model: type[BaseModel], old: Mapping[str, Any], new: Mapping[str, Any], *, prefix: str = "", section: str = ""
) -> Iterator[SettingChange]:
    for name, info in model.model_fields.items():
        title = info.title or name.replace("_", " ").capitalize()
        before, after = old.get(name), new.get(name)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _changed(info.annotation, before or {}, after or {}, prefix=f"{prefix}{name}.", section=title)
        elif before != after:
            unit = info.json_schema_extra.get("unit", "") if isinstance(info.json_schema_extra, dict) else ""
            shown = f"{section}: {title}" if section else title
            yield SettingChange(f"{prefix}{name}", shown, str(unit), before, after)
