"""A version's way: a draft is started, saved and published; what is published never changes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from agents.errors import ArchivedAgentError, DraftExistsError, NoDraftError, UnpublishedVersionError
from agents.models import Agent, AgentVersion, ToolGrant
from agents.selectors import draft_or_published, granted_tools
from agents.services.compiling import compile_as
from agents.services.validating import validate_settings, validate_tools
from tenants import outbox
from tenants.models import User
from tenants.scope import current_scope, tenant_scope
from tenants.services.audit import record


@contextmanager
def locked_agent(agent: Agent) -> Iterator[Agent]:
    """The agent's row, locked until commit, in its tenant's scope: one change to an agent at a time.

    Raises NoTenantScopeError outside any scope or in another tenant's, ArchivedAgentError for an archived agent.
    """
    current_scope()
    with tenant_scope(agent.tenant_id), transaction.atomic():
        locked: Agent = Agent.objects.select_for_update(no_key=True, of=("self",)).get(pk=agent.pk)
        if locked.archived_at is not None:
            raise ArchivedAgentError(f"{locked.name} is archived. Restore it first.")
        yield locked


def start_draft(*, agent: Agent, version: AgentVersion | None = None, actor: User | None = None) -> AgentVersion:
    """A new draft, copied from `version` or else from the published one. Raises DraftExistsError."""
    with locked_agent(agent) as locked:
        if draft := locked.versions.drafts().first():
            raise DraftExistsError(f"{locked.name} has a draft already: version {draft.number}. Publish or change that one.")
        source = locked.versions.get(pk=version.pk) if version else draft_or_published(locked)
        draft = add_draft(locked, settings=source.settings, tools=granted_tools(source))
        record(action="agent.draft_started", target=locked, actor=actor, data={"draft": draft.pk, "copied_from": source.pk})
        return draft


def save_draft(
    *,
    agent: Agent,
    settings: Mapping[str, Any],
    tools: Mapping[str, Mapping[str, Any]],
    note: str = "",
    actor: User | None = None,
) -> AgentVersion:
    """Replace the draft's settings and tools; what `settings` leaves out gets its default.

    Raises InvalidSettingsError with one message per dotted field, NoDraftError when only published versions exist.
    """
    parsed, configs = validate_settings(settings), validate_tools(tools)
    with locked_agent(agent) as locked:
        draft = draft_of(locked)
        saved = parsed.model_dump(mode="json")
        changed = _changed(draft, settings=saved, tools=configs)
        draft.settings = saved
        draft.note = note
        draft.save(update_fields=["settings", "note", "updated_at"])
        draft.grants.all().delete()
        _grant(draft, configs)
        record(action="agent.draft_saved", target=locked, actor=actor, fields=changed, data={"draft": draft.pk})
        return draft


def change_draft(
    *,
    agent: Agent,
    settings: Mapping[str, Any] | None = None,
    tools: Mapping[str, Mapping[str, Any]] | None = None,
    note: str | None = None,
    actor: User | None = None,
) -> AgentVersion:
    """Merge `settings` into the draft's, field by field; lists and `tools` are replaced as a whole, None stays as it is.

    Raises as save_draft does.
    """
    with locked_agent(agent) as locked:
        draft = draft_of(locked)
        return save_draft(
            agent=locked,
            settings=_merged(draft.settings, settings or {}),
            tools=granted_tools(draft) if tools is None else tools,
            note=draft.note if note is None else note,
            actor=actor,
        )


def publish(*, agent: Agent, note: str | None = None, actor: User | None = None) -> AgentVersion:
    """Compile the draft, fix it for good and let calls use it from now on; without `note` the draft's stays.

    Raises InvalidSettingsError with one message per dotted field, NoDraftError when there is nothing to publish.
    """
    with locked_agent(agent) as locked:
        draft = draft_of(locked)
        draft.compiled = compile_as(draft, state=AgentVersion.State.PUBLISHED)
        draft.note = draft.note if note is None else note
        draft.state = AgentVersion.State.PUBLISHED
        draft.published_at = timezone.now()
        draft.published_by = actor
        draft.save(update_fields=["compiled", "note", "state", "published_at", "published_by", "updated_at"])
        record(action="agent.published", target=locked, actor=actor, data={"version": draft.pk})
        _let_calls_use(draft, agent=locked)
        return draft


def roll_back(*, agent: Agent, version: AgentVersion, actor: User | None = None) -> Agent:
    """Let calls use another published version from now on; a draft stays as it is.

    For the version in use nothing changes. Raises UnpublishedVersionError for a draft.
    """
    with locked_agent(agent) as locked:
        chosen: AgentVersion = locked.versions.get(pk=version.pk)
        if not chosen.is_published:
            raise UnpublishedVersionError(f"Version {chosen.number} of {locked.name} is a draft. Publish it instead.")
        if chosen.pk != locked.published_version_id:
            data = {"version": chosen.pk, "before": locked.published_version_id}
            record(action="agent.rolled_back", target=locked, actor=actor, data=data)
            _let_calls_use(chosen, agent=locked)
        return locked


def add_draft(agent: Agent, *, settings: Mapping[str, Any], tools: Mapping[str, Mapping[str, Any]]) -> AgentVersion:
    """A draft with the agent's next number; the caller holds the agent's lock."""
    last: int = agent.versions.aggregate(last=Max("number"))["last"] or 0
    draft: AgentVersion = AgentVersion.objects.create(tenant_id=agent.tenant_id, agent=agent, number=last + 1, settings=settings)
    _grant(draft, tools)
    return draft


def draft_of(agent: Agent) -> AgentVersion:
    """The agent's draft, which changes only while the agent is locked. Raises NoDraftError."""
    draft: AgentVersion | None = agent.versions.drafts().first()
    if draft is None:
        number = agent.published_version.number if agent.published_version else 0
        raise NoDraftError(f"Version {number} of {agent.name} is published and cannot change. Start a draft first.")
    return draft


def _let_calls_use(version: AgentVersion, *, agent: Agent) -> None:
    agent.published_version = version
    agent.save(update_fields=["published_version"])
    news = {"version_id": str(version.pk), "number": version.number}
    outbox.publish(topic="agent.published", object_type="agent", object_id=agent.pk, data=news)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    inner = {
        key: _merged(old[key], value) if isinstance(value, Mapping) and isinstance(old.get(key), Mapping) else value
        for key, value in new.items()
    }
    return {**old, **inner}


def _grant(draft: AgentVersion, tools: Mapping[str, Mapping[str, Any]]) -> None:
    ToolGrant.objects.bulk_create(
        [ToolGrant(tenant_id=draft.tenant_id, version=draft, key=key, config=config) for key, config in sorted(tools.items())]
    )


def _changed(draft: AgentVersion, *, settings: Mapping[str, Any], tools: Mapping[str, Any]) -> list[str]:
    """The sections that saving would change, for the audit."""
    granted = granted_tools(draft)
    changed = [name for name, value in settings.items() if value != draft.settings.get(name)]
    return [*changed, "tools"] if granted != tools else changed
