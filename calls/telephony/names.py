"""Names that the LiveKit server, the worker and the platform agree on."""

from typing import Final
from uuid import UUID

AGENT_NAME: Final = "voice-agent"
INBOUND_PREFIX: Final = "in"
"""Of the rooms that dispatch rules open; the server adds an underscore, the caller and something random."""
OUTBOUND_PREFIX: Final = "out-"
WEB_PREFIX: Final = "web-"
BROWSER: Final = "caller"
"""Who calls, in the room of a web call."""
MARK: Final = "vp:"
"""What the names of our trunks and rules begin with."""
CATCH_ALL: Final = f"{MARK}catch-all"
_SUPERVISOR: Final = "supervisor-"


def is_room_of_ours(name: str) -> bool:
    return name.startswith((f"{INBOUND_PREFIX}_", OUTBOUND_PREFIX, WEB_PREFIX))


def supervisor_identity(supervision_id: UUID) -> str:
    """Who a member of the staff is in a room."""
    return f"{_SUPERVISOR}{supervision_id}"


def supervision_of(identity: str) -> UUID | None:
    """The admission somebody came in with; None for everybody else."""
    if not identity.startswith(_SUPERVISOR):
        return None
    try:
        return UUID(identity.removeprefix(_SUPERVISOR))
    except ValueError:
        return None
