"""The servers on this machine over HTTP, with their failures in the words the framework acts on."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from livekit.agents import APIConnectionError, APIStatusError, APITimeoutError

from voice_worker.providers.base import ProviderConfigError

_CHECK_TIMEOUT = aiohttp.ClientTimeout(total=3)
_CONNECT_S = 2.0


class LocalServer:
    """One address on this machine."""

    def __init__(self, *, url: str, what: str) -> None:
        self.url, self._what = url.rstrip("/"), what
        self._session: aiohttp.ClientSession | None = None

    @contextlib.asynccontextmanager
    async def post(
        self, path: str, *, timeout_s: float, query: Mapping[str, str] | None = None, **body: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a POST; leaving the block early closes the connection, which stops the server's work."""
        if self._session is None:
            # A new connection costs nothing on loopback; a kept one may be closed by the server just when it is used.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        # Silence between two chunks is what a dead server shows; a long answer is not.
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_S, sock_read=timeout_s)
        try:
            async with self._session.post(self.url + path, params=query, timeout=timeout, **body) as answer:
                if answer.status >= 400:
                    raise await self._status_error(answer)
                yield answer
        except TimeoutError as error:
            raise APITimeoutError(f"{self._what} at {self.url} did not answer within {timeout_s:.0f} s") from error
        except aiohttp.ClientError as error:
            raise APIConnectionError(f"{self._what} at {self.url} does not answer") from error

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session:
            await session.close()

    async def _status_error(self, answer: aiohttp.ClientResponse) -> APIStatusError:
        text = await answer.text()
        try:
            told = json.loads(text)["error"]
        except (ValueError, KeyError, TypeError):
            told = text[:300]
        message = told.get("message", str(told)) if isinstance(told, dict) else str(told)
        return APIStatusError(f"{self._what}: {message}", status_code=answer.status, body=text[:1000])


async def check_server(*, url: str, health_path: str, what: str, fix: str) -> None:
    """Raises ProviderConfigError when nothing healthy answers at a local address."""
    try:
        async with aiohttp.ClientSession(timeout=_CHECK_TIMEOUT) as session, session.get(url + health_path) as answer:
            if answer.status == 200:
                return
            reason = "is still loading" if answer.status == 503 else f"answers {answer.status}"
    except (aiohttp.ClientError, TimeoutError):
        reason = "does not answer"
    raise ProviderConfigError(f"{what} at {url} {reason}. {fix}")
