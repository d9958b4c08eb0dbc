"""The job's room: joined by it, and closed when its call is over, which hangs up every phone in it."""

import asyncio
from typing import Final

import aiohttp
import structlog
from livekit import api, rtc
from livekit.agents import JobContext

from voice_worker.providers.base import ProviderConfigError

logger = structlog.get_logger(__name__)

JOIN_S: Final = 15.0
CLOSE_S: Final = 4.0


async def join(ctx: JobContext) -> None:
    """Raises ProviderConfigError when the server cannot be reached."""
    try:
        async with asyncio.timeout(JOIN_S):
            await ctx.connect()
    except (TimeoutError, RuntimeError, rtc.ConnectError) as error:
        raise ProviderConfigError(f"The room {ctx.room.name} could not be joined: {error}") from error


async def close_room(ctx: JobContext) -> None:
    """Best effort: a room that outlives its call is closed from outside."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await ctx.api.room.delete_room(api.DeleteRoomRequest(room=ctx.job.room.name))
    except api.TwirpError as error:
        if error.code != "not_found":
            logger.warning("the room was not closed", error=error.message)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        logger.warning("the room was not closed", error=f"{type(error).__name__}: {error}")
    await ctx.room.disconnect()
