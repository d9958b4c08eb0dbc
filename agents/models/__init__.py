from agents.models.agent import Agent, AgentVersion, ToolGrant

__all__ = ["Agent", "AgentVersion", "ToolGrant"]
