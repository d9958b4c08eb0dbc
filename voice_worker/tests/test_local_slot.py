"""Each conversation stays in one slot of the local model, so that its text is never read twice."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit.agents import llm

from voice_worker.providers.local_http import LocalServer
from voice_worker.providers.local_llm import LocalLLM
from voice_worker.providers.local_slot import Slot

REPLY = '{"action": "none", "say": "Yes."}'


class Brain:
    def __init__(self, *, slots: int = 2) -> None:
        self.slots = slots
        self.asked: list[int] = []

    async def tell_slots(self, _: web.Request) -> web.Response:
        return web.json_response([{"id": number} for number in range(self.slots)])

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((await request.json())["id_slot"])
        chunk = web.json_response({"choices": [{"delta": {"content": REPLY}}]}).text
        return web.Response(text=f"data: {chunk}\n\n", content_type="text/event-stream")

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.get("/slots", self.tell_slots), web.post("/v1/chat/completions", self.answer)])
        return app


@pytest.fixture
async def brain() -> AsyncIterator[tuple[Brain, str]]:
    found = Brain()
    async with TestServer(found.app()) as server:
        yield found, str(server.make_url("")).rstrip("/")


async def test_conversations_at_the_same_time_have_slots_of_their_own(brain: tuple[Brain, str]) -> None:
    one, two, three = (Slot(url=brain[1]) for _ in range(3))
    assert [await each.number() for each in (one, two, three)] == [0, 1, None]
    assert await one.number() == 0
    one.free()
    assert await Slot(url=brain[1]).number() == 0
    two.free()


async def test_without_slots_the_server_chooses(brain: tuple[Brain, str]) -> None:
    assert await Slot(url="http://127.0.0.1:9").number() is None
    brain[0].slots = 0
    assert await Slot(url=brain[1]).number() is None


async def test_every_request_of_a_conversation_names_its_slot(brain: tuple[Brain, str]) -> None:
    server = LocalServer(url=f"{brain[1]}/v1", what="The local language model")
    model = LocalLLM(server=server, model="default", temperature=0.0, max_output_tokens=50, specs={})
    other = Slot(url=brain[1])
    assert await other.number() == 0
    context: Any = llm.ChatContext.empty()
    context.add_message(role="user", content="Are you open?")
    await model.warm_up(chat_ctx=context, tools=[])
    for _ in range(2):
        async with model.chat(chat_ctx=context) as stream:
            assert "".join([chunk.delta.content or "" async for chunk in stream if chunk.delta]) == "Yes."
    assert brain[0].asked == [1, 1, 1]
    await model.aclose()
    assert await Slot(url=brain[1]).number() == 1
    other.free()
