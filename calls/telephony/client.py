"""One way to the LiveKit server from code that is not asynchronous."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
from django.conf import settings
from livekit import api

T = TypeVar("T")


class LiveKitError(Exception):
    """The server did not do what it was asked; the text says why, in its own words."""

    def __init__(self, message: str, *, code: str = "") -> None:
        self.code = code
        super().__init__(message)


class LiveKitDownError(LiveKitError):
    """The server is not set up or did not answer: what was asked may have happened."""


def ask(work: Callable[[api.LiveKitAPI], Awaitable[T]], *, timeout_s: float = 10.0) -> T:
    """Run `work` with a client of its own, which never repeats a request. Raises LiveKitError."""
    if not (settings.LIVEKIT_URL and settings.LIVEKIT_API_KEY and settings.LIVEKIT_API_SECRET):
        raise LiveKitDownError("LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET are not set", code="not_configured")

    async def run() -> T:
        keys = settings.LIVEKIT_URL, settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET
        async with api.LiveKitAPI(*keys, failover=False) as client, asyncio.timeout(timeout_s):
            return await work(client)

    try:
        return asyncio.run(run())
    except api.TwirpError as error:
        kind = LiveKitDownError if error.code in ("unavailable", "deadline_exceeded") else LiveKitError
        raise kind(error.message, code=error.code) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise LiveKitDownError(f"{settings.LIVEKIT_URL} did not answer: {error or type(error).__name__}") from error
