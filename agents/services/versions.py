"""A version's way: a draft is started, saved and published; what is published never changes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from agents.errors import ArchivedAgentError, DraftExistsError, NoDraftError
from agents.models import Agent, AgentVersion, ToolGrant
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
        source = locked.versions.get(pk=version.pk) if version else newest_version(locked)
        draft = add_draft(locked, settings=source.settings, tools={grant.key: grant.config for grant in source.grants.all()})
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
        draft = _draft_of(locked)
        saved = parsed.model_dump(mode="json")
        changed = _changed(draft, settings=saved, tools=configs)
        draft.settings = saved
        draft.note = note
        draft.save(update_fields=["settings", "note", "updated_at"])
        draft.grants.all().delete()
        _grant(draft, configs)
        record(action="agent.draft_saved", target=locked, actor=actor, fields=changed, data={"draft": draft.pk})
        return draft


def publish(*, agent: Agent, actor: User | None = None) -> AgentVersion:
    """Compile the draft, fix it for good and let calls use it from now on.

    Raises InvalidSettingsError with one message per dotted field, NoDraftError when there is nothing to publish.
    """
    with locked_agent(agent) as locked:
        draft = _draft_of(locked)
        draft.compiled = compile_as(draft, state=AgentVersion.State.PUBLISHED)
        draft.state = AgentVersion.State.PUBLISHED
        draft.published_at = timezone.now()
        draft.published_by = actor
        draft.save(update_fields=["compiled", "state", "published_at", "published_by", "updated_at"])
        locked.published_version = draft
        locked.save(update_fields=["published_version"])
        record(action="agent.published", target=locked, actor=actor, data={"version": draft.pk})
        news = {"version_id": str(draft.pk), "number": draft.number}
        outbox.publish(topic="agent.published", object_type="agent", object_id=locked.pk, data=news)
        return draft


def add_draft(agent: Agent, *, settings: Mapping[str, Any], tools: Mapping[str, Mapping[str, Any]]) -> AgentVersion:
    """A draft with the agent's next number; the caller holds the agent's lock."""
    last: int = agent.versions.aggregate(last=Max("number"))["last"] or 0
    draft: AgentVersion = AgentVersion.objects.create(tenant_id=agent.tenant_id, agent=agent, number=last + 1, settings=settings)
    _grant(draft, tools)
    return draft


def newest_version(agent: Agent) -> AgentVersion:
    """The draft, or the published version where there is none."""
    newest: AgentVersion = agent.versions.order_by("-number")[0]
    return newest


def _grant(draft: AgentVersion, tools: Mapping[str, Mapping[str, Any]]) -> None:
    ToolGrant.objects.bulk_create(
        [ToolGrant(tenant_id=draft.tenant_id, version=draft, key=key, config=config) for key, config in sorted(tools.items())]
    )


def _changed(draft: AgentVersion, *, settings: Mapping[str, Any], tools: Mapping[str, Any]) -> list[str]:
    """The sections that saving would change, for the audit."""
    granted = {grant.key: grant.config for grant in draft.grants.all()}
    changed = [name for name, value in settings.items() if value != draft.settings.get(name)]
    return [*changed, "tools"] if granted != tools else changed


def _draft_of(agent: Agent) -> AgentVersion:
    draft: AgentVersion | None = agent.versions.drafts().first()
    if draft is None:
        number = agent.published_version.number if agent.published_version else 0
        raise NoDraftError(f"Version {number} of {agent.name} is published and cannot change. Start a draft first.")
    return draft
