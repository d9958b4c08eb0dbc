"""What errors of the agents app are to somebody who uses the API."""

from agents import errors
from voiceplatform.lib.api.problems import CODES, register

register(
    errors.InvalidSettingsError,
    status=400,
    code="invalid",
    meaning=CODES["invalid"],
    params=lambda error: {_param(field): message for field, message in error.errors.items()},
)
register(errors.InvalidAgentError, status=400, code="invalid", meaning=CODES["invalid"], params=lambda error: dict(error.errors))
register(
    errors.VariableError,
    status=400,
    code="invalid_variable",
    meaning="A variable of the call is missing, unknown to the agent's version, or of another type; `errors` names it.",
    params=lambda error: {f"variables.{error.name}": str(error)},
)
register(
    errors.ArchivedAgentError,
    status=409,
    code="agent_archived",
    meaning="The agent is archived: it takes no calls and no changes. Restore it first.",
)
register(
    errors.NoDraftError,
    status=409,
    code="no_draft",
    meaning="The agent has no draft, and published versions never change. Start a draft first.",
)
register(
    errors.DraftExistsError,
    status=409,
    code="draft_exists",
    meaning="The agent has a draft already; there is one at most. Change or publish that one.",
)
register(
    errors.UnpublishedVersionError,
    status=409,
    code="version_not_published",
    meaning="Calls can only be given a version that was published.",
)


def _param(field: str) -> str:
    """Tools, and what one call overrides, stand beside the settings in a request; all other fields inside them."""
    return field if field.startswith(("tools.", "overrides.")) else f"settings.{field}"
