"""llama.cpp's HTTP server with answers written beforehand: the wire format of its streaming chat completions."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`waits_after` characters are sent, the rest once `go_on` is set; `cut_after` breaks the connection there."""

    text: str = ""
    status: int = 200
    error: str = ""
    waits_after: int | None = None
    cut_after: int | None = None
    garbled: bool = False
    token_characters: int = 3


class LlamaServer:
    """Gives `answers` one after the other, then the last one for ever; keeps the body of every request."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[dict[str, Any]] = []
        self.go_on = asyncio.Event()
        self.abandoned = asyncio.Event()
        self.url = ""

    def says(self, *texts: str) -> None:
        self.answers = [Answer(text=text) for text in texts]

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.post("/v1/chat/completions", self._complete), web.get("/slots", self._slots)])
        app.add_routes([web.get("/health", self._health)])
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _slots(self, _: web.Request) -> web.Response:
        return web.json_response([])

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if answer.status != 200:
            told = {"code": answer.status, "message": answer.error or "it failed", "type": "server_error"}
            return web.json_response({"error": told}, status=answer.status)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await self._stream(request, stream, answer)
        return stream

    async def _stream(self, request: web.Request, stream: web.StreamResponse, answer: Answer) -> None:
        await _send(stream, _chunk({"role": "assistant", "content": None}))
        for start in range(0, len(answer.text), answer.token_characters):
            if answer.cut_after is not None and start >= answer.cut_after and request.transport:
                request.transport.abort()
                return
            if answer.waits_after is not None and start >= answer.waits_after:
                await self._wait()
            written = start // answer.token_characters + 1
            await _send(stream, _chunk({"content": answer.text[start : start + answer.token_characters]}, written=written))
        if answer.error:
            await _send(stream, {"error": {"code": 500, "message": answer.error, "type": "server_error"}})
        if answer.garbled:
            await stream.write(b'data: {"choices": [{"del\n\n')
        await _send(stream, _chunk({}, finish="stop"))
        await stream.write(b"data: [DONE]\n\n")

    async def _wait(self) -> None:
        """The server cancels whoever writes for a client that has gone."""
        try:
            await self.go_on.wait()
        finally:
            if not self.go_on.is_set():
                self.abandoned.set()


def _chunk(delta: dict[str, Any], *, written: int = 0, finish: str | None = None) -> dict[str, Any]:
    chunk: dict[str, Any] = {
        "choices": [{"finish_reason": finish, "index": 0, "delta": delta}],
        "created": 1,
        "id": "chatcmpl-fake",
        "model": "fake",
        "object": "chat.completion.chunk",
    }
    if written:
        chunk["timings"] = {"cache_n": 640, "prompt_n": 14, "prompt_ms": 190.5, "predicted_n": written, "predicted_ms": 33.1}
    return chunk


async def _send(stream: web.StreamResponse, data: dict[str, Any]) -> None:
    await stream.write(b"data: " + json.dumps(data).encode() + b"\n\n")


@asynccontextmanager
async def serve_llama() -> AsyncIterator[LlamaServer]:
    llama = LlamaServer()
    async with TestServer(llama.app()) as server:
        llama.url = str(server.make_url("/v1"))
        yield llama
        llama.go_on.set()
