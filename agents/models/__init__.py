from agents.models.agent import Agent, AgentVersion, ToolGrant
from agents.models.target import TransferTarget

__all__ = ["Agent", "AgentVersion", "ToolGrant", "TransferTarget"]
