"""What switching features will do, told before it is done: which agents and running calls gain or lose which tools."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import Count

from agents.models import Agent
from agents.tools import TOOLS
from calls.models import Call
from tenants.features import FEATURES

Counts = Mapping[tuple[UUID, str], int]  # (tenant, tool) → how many


@dataclass(frozen=True, slots=True)
class Change:
    """A feature of a tenant that will be on or off after the change."""

    tenant_id: UUID
    key: str
    before: bool
    after: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """Agents whose published version is granted a tool, and open calls of versions that are."""

    agents: Counts
    calls: Counts


@dataclass(frozen=True, slots=True)
class Effect:
    """What becomes of one feature. `sentence` says what agents and calls notice."""

    key: str
    label: str
    on: bool
    tenants: int
    sentence: str


def reach_of(tenant_ids: Collection[UUID], keys: Collection[str]) -> Reach:
    """Two queries, however many tenants and features; one tenant or all of them must be in view."""
    tools = [spec.key for spec in TOOLS.values() if spec.feature_key in keys]
    agents = Agent.objects.in_use().filter(tenant_id__in=tenant_ids, published_version__grants__key__in=tools)
    calls = Call.objects.open().filter(tenant_id__in=tenant_ids, version__grants__key__in=tools)
    return Reach(
        agents=_counted(agents.order_by().values_list("tenant_id", "published_version__grants__key").annotate(Count("pk"))),
        calls=_counted(calls.order_by().values_list("tenant_id", "version__grants__key").annotate(Count("pk"))),
    )


def effects_of(changes: Iterable[Change], reach: Reach) -> list[Effect]:
    """One effect for each feature that is switched on for somebody, and one for each that is switched off."""
    groups: dict[tuple[str, bool], list[UUID]] = defaultdict(list)
    for change in changes:
        if change.before != change.after:
            groups[change.key, change.after].append(change.tenant_id)
    return [
        Effect(
            key=key,
            label=FEATURES[key].label,
            on=on,
            tenants=len(groups[key, on]),
            sentence=_sentence(key, groups[key, on], reach, on=on),
        )
        for key in FEATURES
        for on in (False, True)
        if (key, on) in groups
    ]


def _sentence(key: str, tenant_ids: Collection[UUID], reach: Reach, *, on: bool) -> str:
    tools = [spec.key for spec in TOOLS.values() if spec.feature_key == key]
    if not tools:
        return f"Calls {'have it' if on else 'do without'} from the next one on; running ones finish as they are."
    if not settings.TOOLS_DECIDED_BY_BACKEND:
        return "No agent notices: TOOLS_DECIDED_BY_BACKEND is off, so grants alone decide."
    return " ".join(_tool_sentence(tool, tenant_ids, reach, on=on) for tool in tools)


def _tool_sentence(tool: str, tenant_ids: Collection[UUID], reach: Reach, *, on: bool) -> str:
    agents, calls = (sum(counts.get((tenant, tool), 0) for tenant in tenant_ids) for counts in (reach.agents, reach.calls))
    if not agents and not calls:
        return f"No agent is granted {tool}, so nobody notices yet."
    if on:
        running = f"; {_count(calls, 'live call has', 'live calls have')} it only if it was on when they began" if calls else ""
        return f"{_count(agents, 'agent gains', 'agents gain')} {tool} in new calls{running}."
    running = f"{_count(calls, 'live call loses', 'live calls lose')} it at next use" if calls else "no live call has it"
    return f"{_count(agents, 'agent loses', 'agents lose')} {tool}; {running}."


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def _counted(rows: Iterable[tuple[UUID, str, int]]) -> Counts:
    return {(tenant, tool): number for tenant, tool, number in rows}
