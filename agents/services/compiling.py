"""From a version's settings and tools to the one JSON document a call runs on."""

from datetime import UTC, datetime
from typing import Any

from agents.models import AgentVersion
from agents.pipeline import SCHEMA_VERSION
from agents.selectors import granted_tools
from agents.services.transferring import transfer_policy, validate_transfer
from agents.services.validating import validate_settings, validate_templates, validate_tools
from agents.services.variables import DEFAULT_VARIABLES, default_variables


def compile_version(version: AgentVersion) -> dict[str, Any]:
    """What a call with this version runs on: a published version's own document, a draft's compiled on the fly.

    The agent's name, the tenant's facts and the targets of transfers are always today's. Raises InvalidSettingsError for a
    draft that cannot be published.
    """
    compiled = version.compiled if version.is_published else compile_as(version, state=version.state)
    return {**compiled, **_owners(version), "transfer": transfer_policy(compiled["settings"]).model_dump(mode="json")}


def compile_as(version: AgentVersion, *, state: str) -> dict[str, Any]:
    """The document of `version` in that state, after checking everything. Raises InvalidSettingsError."""
    settings = validate_settings(version.settings)
    tools = validate_tools(granted_tools(version))
    validate_templates(settings, defaults=sample_defaults(version))
    validate_transfer(settings.transfer, tools=tools)
    return {
        "schema": SCHEMA_VERSION,
        **_owners(version),
        "version": {"id": str(version.pk), "number": version.number, "state": state},
        "settings": settings.model_dump(mode="json"),
        "default_variables": list(DEFAULT_VARIABLES),
        "tools": [{"key": key, "config": config} for key, config in tools.items()],
    }


def _owners(version: AgentVersion) -> dict[str, Any]:
    agent, tenant = version.agent, version.tenant
    return {
        "agent": {"id": str(agent.pk), "name": agent.name},
        "tenant": {"id": str(tenant.pk), "name": tenant.name, "timezone": tenant.timezone, "currency": tenant.currency},
    }


def sample_defaults(version: AgentVersion) -> dict[str, str]:
    """Values of the default variables to try the version's templates with."""
    tenant = version.tenant
    at = datetime(2026, 1, 5, 15, 30, tzinfo=UTC)
    return default_variables(at=at, timezone=tenant.timezone, agent_name=version.agent.name, business_name=tenant.name)
