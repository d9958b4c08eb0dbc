"""Agents for tests: on predictable providers, in the tenant in scope."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from agents.models import Agent
from agents.services import create_agent, publish, save_draft

TEST_SETTINGS: Mapping[str, Any] = {
    "brain": {"provider": "test", "model": "rules"},
    "hearing": {"provider": "test", "model": "constant"},
    "speaking": {"provider": "test", "model": "tone", "voice": "tone"},
}
_number = count(1)


def make_agent(
    *,
    name: str = "",
    settings: Mapping[str, Any] | None = None,
    tools: Mapping[str, Mapping[str, Any]] | None = None,
    published: bool = True,
) -> Agent:
    """An agent on the test providers; `settings` adds to or replaces whole sections. Needs VP_TEST_PROVIDERS."""
    agent = create_agent(name=name or f"Agent {next(_number)}")
    save_draft(agent=agent, settings={**TEST_SETTINGS, **(settings or {})}, tools={"end_call": {}} if tools is None else tools)
    if published:
        publish(agent=agent)
        agent.refresh_from_db()
    return agent
