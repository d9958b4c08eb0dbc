"""Names that the LiveKit server, the worker and the platform agree on."""

from typing import Final

AGENT_NAME: Final = "voice-agent"
INBOUND_PREFIX: Final = "in"
"""Of the rooms that dispatch rules open; the server adds an underscore, the caller and something random."""
OUTBOUND_PREFIX: Final = "out-"
MARK: Final = "vp:"
"""What the names of our trunks and rules begin with."""
CATCH_ALL: Final = f"{MARK}catch-all"


def is_room_of_ours(name: str) -> bool:
    return name.startswith((f"{INBOUND_PREFIX}_", OUTBOUND_PREFIX))
