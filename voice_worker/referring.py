"""Putting the other side through to another phone by REFER: their carrier connects them, and they leave the call."""

from typing import Final

import aiohttp
import structlog
from google.protobuf.duration_pb2 import Duration
from livekit import api
from livekit.agents import JobContext

from calls.outcomes import of_error
from voice_worker.line import NotPutThroughError

logger = structlog.get_logger(__name__)

RINGS_S: Final = 40


class RoomRefer:
    """For a phone in a room."""

    def __init__(self, ctx: JobContext, identity: str) -> None:
        self._ctx = ctx
        self._identity = identity

    async def __call__(self, phone: str) -> None:
        request = api.TransferSIPParticipantRequest(
            participant_identity=self._identity,
            room_name=self._ctx.job.room.name,
            transfer_to=f"tel:{phone}",
            ringing_timeout=Duration(seconds=RINGS_S),
        )
        try:
            await self._ctx.api.sip.transfer_sip_participant(request, timeout=RINGS_S + 10)
        except api.TwirpError as error:
            logger.warning("a phone was not put through", error=error.message)
            known = error.metadata or {}
            status = known.get("sip_status_code", "")
            code = int(status) if status.isdigit() else None
            text = known.get("sip_status") or error.message
            raise NotPutThroughError(of_error(code=error.code, sip_status=code, text=text).reason) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            logger.warning("a phone was not put through", error=f"{type(error).__name__}: {error}")
            raise NotPutThroughError("no_response") from error
