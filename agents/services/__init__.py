"""What may be done with agents. All of it needs a tenant in scope."""

from agents.liquid import render as render_liquid
from agents.services.agents import archive_agent, change_agent, create_agent, duplicate_agent, restore_agent
from agents.services.compiling import compile_version
from agents.services.overriding import override_settings
from agents.services.variables import DEFAULT_VARIABLES, check_variables, default_variables, lenient_variables
from agents.services.versions import change_draft, publish, roll_back, save_draft, start_draft

__all__ = [
    "DEFAULT_VARIABLES",
    "archive_agent",
    "change_agent",
    "change_draft",
    "check_variables",
    "compile_version",
    "create_agent",
    "default_variables",
    "duplicate_agent",
    "lenient_variables",
    "override_settings",
    "publish",
    "render_liquid",
    "restore_agent",
    "roll_back",
    "save_draft",
    "start_draft",
]
