"""Agents come, are copied, and rest in the archive."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from agents.errors import InvalidAgentError
from agents.models import Agent
from agents.selectors import draft_or_published, granted_tools
from agents.services.validating import validate_settings, validate_tools
from agents.services.versions import add_draft, locked_agent
from tenants.models import User
from tenants.scope import current_scope, current_tenant_id, tenant_scope
from tenants.services.audit import record

FIRST_TOOLS: Mapping[str, Mapping[str, Any]] = {"end_call": {}}


def create_agent(
    *,
    name: str,
    description: str = "",
    metadata: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    tools: Mapping[str, Mapping[str, Any]] | None = None,
    actor: User | None = None,
) -> Agent:
    """An agent of the tenant in scope, with a draft; what `settings` leaves out gets its default.

    Raises InvalidAgentError, and InvalidSettingsError with one message per dotted field.
    """
    return _create(
        name=name,
        description=description,
        metadata=metadata or {},
        settings=validate_settings(settings or {}).model_dump(mode="json"),
        tools=validate_tools(FIRST_TOOLS if tools is None else tools),
        actor=actor,
    )


def change_agent(
    *,
    agent: Agent,
    name: str | None = None,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    actor: User | None = None,
) -> Agent:
    """Change what is known about the agent itself; None leaves a value as it is. Raises InvalidAgentError, ArchivedAgentError."""
    given = {"name": _stripped(name), "description": _stripped(description), "metadata": metadata}
    with locked_agent(agent) as locked:
        changed = [field for field, value in given.items() if value is not None and value != getattr(locked, field)]
        for field in changed:
            setattr(locked, field, given[field])
        if changed:
            _save(locked, update_fields=changed)
            record(action="agent.changed", target=locked, actor=actor, fields=changed)
        return locked


def duplicate_agent(*, agent: Agent, name: str = "", actor: User | None = None) -> Agent:
    """A new agent whose draft is a copy of this one's draft, or else of its published version. Raises InvalidAgentError."""
    current_scope()
    with tenant_scope(agent.tenant_id):
        source = draft_or_published(agent)
        return _create(
            name=name or _copy_name(agent.name),
            description=agent.description,
            metadata=agent.metadata,
            settings=source.settings,
            tools=granted_tools(source),
            actor=actor,
        )


def archive_agent(*, agent: Agent, actor: User | None = None) -> Agent:
    """Take the agent out of use; its versions and calls stay. Raises ArchivedAgentError when it is archived."""
    with locked_agent(agent) as locked:
        locked.archived_at = timezone.now()
        locked.save(update_fields=["archived_at"])
        record(action="agent.archived", target=locked, actor=actor)
        return locked


def restore_agent(*, agent: Agent, actor: User | None = None) -> Agent:
    """Bring an archived agent back into use; one in use stays as it is."""
    current_scope()
    with tenant_scope(agent.tenant_id), transaction.atomic():
        locked: Agent = Agent.objects.select_for_update(no_key=True, of=("self",)).get(pk=agent.pk)
        if locked.archived_at is not None:
            locked.archived_at = None
            locked.save(update_fields=["archived_at"])
            record(action="agent.restored", target=locked, actor=actor)
        return locked


@transaction.atomic
def _create(
    *,
    name: str,
    description: str,
    metadata: Mapping[str, str],
    settings: Mapping[str, Any],
    tools: Mapping[str, Mapping[str, Any]],
    actor: User | None,
) -> Agent:
    agent = Agent(tenant_id=current_tenant_id(), name=name.strip(), description=description.strip(), metadata=dict(metadata))
    _save(agent, force_insert=True)
    add_draft(agent, settings=settings, tools=tools)
    record(action="agent.created", target=agent, actor=actor)
    return agent


def _save(agent: Agent, **options: Any) -> None:
    try:
        agent.full_clean()
        with transaction.atomic():
            agent.save(**options)
    except ValidationError as error:
        raise InvalidAgentError(_first_messages(error)) from error
    except IntegrityError as error:
        raise InvalidAgentError({"name": "Another agent has this name."}) from error


def _stripped(text: str | None) -> str | None:
    return None if text is None else text.strip()


def _first_messages(error: ValidationError) -> dict[str, str]:
    """Django keys a broken unique constraint over two fields under `__all__`; the name is the one to change."""
    return {"name" if field == "__all__" else field: messages[0] for field, messages in error.message_dict.items()}


def _copy_name(name: str) -> str:
    taken = set(Agent.objects.values_list("name", flat=True))
    number = 1
    while True:
        suffix = " (copy)" if number == 1 else f" (copy {number})"
        candidate = name[: 80 - len(suffix)] + suffix
        if candidate not in taken:
            return candidate
        number += 1
