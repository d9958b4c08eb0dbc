"""Asking for a worker."""

import json
from uuid import UUID

from livekit import api

from calls.telephony.client import connected
from calls.telephony.names import AGENT_NAME


def dispatch_job(*, room: str, call_id: UUID) -> None:
    """Ask the server for a worker to take a call, in a room that is made if need be. Raises LiveKitError.

    Success says only that the server was asked: without a free worker it forgets about it.
    """
    request = api.CreateAgentDispatchRequest(agent_name=AGENT_NAME, room=room, metadata=json.dumps({"call_id": str(call_id)}))
    with connected() as livekit:
        livekit.ask(lambda lk: lk.agent_dispatch.create_dispatch(request))
