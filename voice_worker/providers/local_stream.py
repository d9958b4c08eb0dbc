"""One answer of the local model while it is being written."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from livekit.agents import APIConnectionError, APIStatusError, llm

from voice_worker.providers.local_http import LocalServer

PATIENCE_S = 60.0  # a long prompt that is not in the cache yet takes its time
_DATA = b"data: {"


class Generation:
    """Reads ahead of whoever consumes it: the last tokens after the last word are left to run out, because breaking
    off would make the next request find its cache in use."""

    def __init__(self, *, server: LocalServer, body: Mapping[str, Any]) -> None:
        self._server, self._body = server, body
        self._used: dict[str, int] = {}
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self.task = asyncio.create_task(self._read())

    async def pieces(self) -> AsyncIterator[str]:
        while (piece := await self._pieces.get()) is not None:
            yield piece
        await self.task  # raises what ended it early

    async def stop(self) -> None:
        """Closes the connection, which stops the model."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self.task

    def usage(self) -> llm.CompletionUsage | None:
        if not self._used:
            return None
        cached, read, written = (int(self._used.get(key, 0)) for key in ("cache_n", "prompt_n", "predicted_n"))
        return llm.CompletionUsage(
            completion_tokens=written,
            prompt_tokens=cached + read,
            prompt_cached_tokens=cached,
            total_tokens=cached + read + written,
        )

    async def _read(self) -> None:
        try:
            async with self._server.post("/chat/completions", timeout_s=PATIENCE_S, json=dict(self._body)) as answer:
                async for line in answer.content:
                    if line.startswith(_DATA):
                        self._take(_chunk(line[len(_DATA) - 1 :]))
        finally:
            self._pieces.put_nowait(None)

    def _take(self, chunk: dict[str, Any]) -> None:
        if error := chunk.get("error"):
            raise APIStatusError(
                f"The local language model: {error.get('message', error)}", status_code=int(error.get("code", 500))
            )
        self._used.update({key: value for key, value in chunk.get("timings", {}).items() if key.endswith("_n")})
        for choice in chunk.get("choices", []):
            if text := choice.get("delta", {}).get("content"):
                self._pieces.put_nowait(text)


def _chunk(line: bytes) -> dict[str, Any]:
    try:
        chunk: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise APIConnectionError("The local language model's answer was garbled") from error
    return chunk
