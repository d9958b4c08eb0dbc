"""Asking the LiveKit server something, from code that is not asynchronous."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import aiohttp
from django.conf import settings
from livekit import api

from calls.errors import LiveKitDownError, LiveKitRefusedError, NoLiveKitError

TIMEOUT_S: Final = 10.0
NOT_FOUND: Final = "not_found"

T = TypeVar("T")
Request = Callable[[api.LiveKitAPI], Awaitable[T]]


class LiveKit:
    """An open connection. Not for use inside a running event loop, and not within a transaction: the server may be slow."""

    def __init__(self, runner: asyncio.Runner, client: api.LiveKitAPI, *, timeout_s: float) -> None:
        self._runner, self._client, self._timeout_s = runner, client, timeout_s

    def ask(self, request: Request[T], *, again: bool = False) -> T:
        """What the server answers. Raises LiveKitDownError and LiveKitRefusedError.

        `again` repeats the request once when it did not get through: for those that may be made twice, because the
        first one after a restart of the server may go into a connection that is dead.
        """
        try:
            return self._runner.run(self._told(request))
        except LiveKitDownError:
            if not again:
                raise
        return self._runner.run(self._told(request))

    async def _told(self, request: Request[T]) -> T:
        try:
            # The client's own timeout is of no use: its requests override it with none.
            async with asyncio.timeout(self._timeout_s):
                return await request(self._client)
        except api.TwirpError as error:
            raise _refusal(error) from error
        except TimeoutError as error:
            raise LiveKitDownError(f"The LiveKit server at {settings.LIVEKIT_URL} did not answer in time.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise LiveKitDownError(f"The LiveKit server at {settings.LIVEKIT_URL} cannot be reached: {error}") from error


def is_configured() -> bool:
    return bool(settings.LIVEKIT_URL)


@contextmanager
def connected(*, timeout_s: float = TIMEOUT_S) -> Iterator[LiveKit]:
    """The server that the settings name, for a block of requests. Raises NoLiveKitError when they name none."""
    if not is_configured():
        raise NoLiveKitError("There is no LiveKit server: LIVEKIT_URL is empty.")
    if not (settings.LIVEKIT_API_KEY and settings.LIVEKIT_API_SECRET):
        raise NoLiveKitError("LIVEKIT_URL is set, but LIVEKIT_API_KEY or LIVEKIT_API_SECRET is empty.")
    with asyncio.Runner() as runner:
        client = runner.run(_opened())
        try:
            yield LiveKit(runner, client, timeout_s=timeout_s)
        finally:
            runner.run(client.aclose())


async def _opened() -> api.LiveKitAPI:
    return api.LiveKitAPI(settings.LIVEKIT_URL, settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET, failover=False)


def _refusal(error: api.TwirpError) -> Exception:
    if error.status in (401, 403):
        fix = "LIVEKIT_API_KEY and LIVEKIT_API_SECRET must be a key that the server knows"
        return LiveKitRefusedError("unauthenticated", f"The LiveKit server refused our key: {fix}.")
    if error.status >= 500 or error.code in ("unavailable", "deadline_exceeded"):
        return LiveKitDownError(f"The LiveKit server cannot do it at the moment: {error.message or error.code}")
    return LiveKitRefusedError(error.code, error.message or error.code)
