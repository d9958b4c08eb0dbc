"""Who has the floor: whether the agent may speak, react and use tools."""

from typing import Final

MUTED: Final = "muted"
TRANSFER: Final = "transfer"


class Floor:
    """The agent's, unless something keeps it silent; several things may, and each ends by itself."""

    def __init__(self) -> None:
        self._taken_by: set[str] = set()

    @property
    def is_agents(self) -> bool:
        return not self._taken_by

    def is_taken_by(self, who: str) -> bool:
        return who in self._taken_by

    def take(self, who: str) -> None:
        self._taken_by.add(who)

    def give_back(self, who: str) -> None:
        self._taken_by.discard(who)
