"""Errors of the agents app. Their texts are written for staff and API users."""

from collections.abc import Mapping


class AgentsError(Exception):
    """Base of everything this app raises on purpose."""


class InvalidSettingsError(AgentsError):
    """Settings or tools were refused. `errors` holds one message per dotted field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        named = [f"{field}: {message}" for field, message in self.errors.items()]
        more = [f"And {len(named) - 3} more."] if len(named) > 3 else []
        super().__init__(" ".join(["Refused:", *named[:3], *more]))


class InvalidAgentError(InvalidSettingsError):
    """The agent's own name, description or metadata was refused."""


class ArchivedAgentError(AgentsError):
    """The agent is archived: it takes no calls and no changes."""


class NoDraftError(AgentsError):
    """There is no draft to save or publish; published versions never change."""


class DraftExistsError(AgentsError):
    """The agent has a draft already."""


class UnpublishedVersionError(AgentsError):
    """Calls can only be given a version that was published."""


class VariableError(AgentsError):
    """The variables given for a call do not fit the version. `name` is the variable."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(message)


class MissingVariableError(VariableError):
    """A required variable was not given."""


class UnknownVariableError(VariableError):
    """A variable was given that the version does not declare."""


class InvalidVariableError(VariableError):
    """A variable's value is not of its declared type."""


class LiquidError(AgentsError):
    """A template is wrong or too large. The text shows the place with a caret."""
