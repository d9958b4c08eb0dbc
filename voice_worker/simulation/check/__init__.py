"""An independent check of a finished call."""

from voice_worker.simulation.check.checks import check
from voice_worker.simulation.check.model import (
    CheckedCall,
    CheckReport,
    PersonaWords,
    Result,
    StoredMessage,
    StoredTurn,
    StoredUsage,
)

__all__ = ["CheckReport", "CheckedCall", "PersonaWords", "Result", "StoredMessage", "StoredTurn", "StoredUsage", "check"]
