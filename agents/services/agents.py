"""Agents come, are copied, and rest in the archive."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from agents.errors import InvalidSettingsError
from agents.models import Agent
from agents.services.compiling import empty_settings
from agents.services.versions import add_draft, locked_agent, newest_version
from tenants.models import User
from tenants.scope import current_scope, current_tenant_id, tenant_scope
from tenants.services.audit import record

FIRST_TOOLS: Mapping[str, Mapping[str, Any]] = {"end_call": {}}


def create_agent(*, name: str, description: str = "", actor: User | None = None) -> Agent:
    """An agent of the tenant in scope, with a draft that holds the defaults. Raises InvalidSettingsError."""
    return _create(name=name, description=description, settings=empty_settings(), tools=FIRST_TOOLS, actor=actor)


def duplicate_agent(*, agent: Agent, name: str = "", actor: User | None = None) -> Agent:
    """A new agent whose draft is a copy of this one's draft, or else of its published version."""
    current_scope()
    with tenant_scope(agent.tenant_id):
        source = newest_version(agent)
        return _create(
            name=name or _copy_name(agent.name),
            description=agent.description,
            settings=source.settings,
            tools={grant.key: grant.config for grant in source.grants.all()},
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
    settings: Mapping[str, Any],
    tools: Mapping[str, Mapping[str, Any]],
    actor: User | None,
) -> Agent:
    agent = Agent(tenant_id=current_tenant_id(), name=name.strip(), description=description.strip())
    try:
        agent.full_clean()
        with transaction.atomic():
            agent.save(force_insert=True)
    except ValidationError as error:
        raise InvalidSettingsError(_first_messages(error)) from error
    except IntegrityError as error:
        raise InvalidSettingsError({"name": "Another agent has this name."}) from error
    add_draft(agent, settings=settings, tools=tools)
    record(action="agent.created", target=agent, actor=actor)
    return agent


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
