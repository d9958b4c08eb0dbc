"""The local language model behind the framework's interface, against a server that speaks llama.cpp's wire format."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit.agents import APIConnectionError, APIConnectOptions, APIError, APIStatusError, APITimeoutError, llm

from agents.tools import TOOLS
from tests.fakes.llama_server import Answer, LlamaServer, serve_llama
from voice_worker.providers.local_contract import acted, said
from voice_worker.providers.local_http import LocalServer
from voice_worker.providers.local_llm import LocalLLM

ONCE = APIConnectOptions(max_retry=0, timeout=5)
AGAIN = APIConnectOptions(max_retry=2, retry_interval=0.01, timeout=5)
RULES = "You are Ava.\ncleaning: 90 dollars\nSaturday: open 10 AM to 2 PM"
UNKNOWN = "I do not have that information. Shall I take a message?"
FULL = {"caller_name": "Maria Garcia", "phone": "512 555 0143", "reason": "insurance"}
WANTED = "Please take a message about my insurance."


@pytest.fixture
async def llama() -> AsyncIterator[LlamaServer]:
    async with serve_llama() as server:
        yield server


@pytest.fixture
async def model(llama: LlamaServer) -> AsyncIterator[LocalLLM]:
    model = make_model(llama.url)
    yield model
    await model.aclose()


def make_model(url: str) -> LocalLLM:
    server = LocalServer(url=url, what="The local language model")
    return LocalLLM(server=server, model="default", temperature=0.0, max_output_tokens=120, specs=TOOLS)


def tools(*keys: str) -> list[llm.Tool]:
    async def use(raw_arguments: dict[str, object]) -> None:
        return None

    schemas = [
        {"name": spec.key, "description": spec.description, "parameters": dict(spec.parameters)}
        for spec in (TOOLS[key] for key in keys or ("end_call", "take_message"))
    ]
    return [llm.function_tool(use, raw_schema=schema) for schema in schemas]


def talk(*turns: str) -> llm.ChatContext:
    """The caller speaks first, then both in turn."""
    context = llm.ChatContext.empty()
    context.add_message(role="system", content=RULES)
    for number, text in enumerate(turns):
        context.add_message(role="assistant" if number % 2 else "user", content=text)
    return context


async def answer(model: LocalLLM, *turns: str, **options: Any) -> llm.CollectedResponse:
    options = {"conn_options": ONCE, "tools": tools(), **options}
    return await model.chat(chat_ctx=talk(*turns), **options).collect()


async def test_words_are_spoken_before_the_answer_is_complete(llama: LlamaServer, model: LocalLLM) -> None:
    text = said("A cleaning is 90 dollars. Anything else?")
    llama.answers = [Answer(text=text, waits_after=text.index("Any") + 3)]
    async with model.chat(chat_ctx=talk("How much is a cleaning?"), tools=tools(), conn_options=ONCE) as stream:
        first = await asyncio.wait_for(anext(stream), 5)
        assert first.delta
        assert first.delta.content == "A cleaning is 90 dollars. "
        llama.go_on.set()
        rest = [chunk.delta.content async for chunk in stream if chunk.delta]
    assert rest == ["Anything else?"]


async def test_the_request_forces_the_form_and_names_the_facts(llama: LlamaServer, model: LocalLLM) -> None:
    llama.says(said("Yes."))
    await answer(model, "Are you open on Saturday?")
    body = llama.requests[0]
    assert (body["stream"], body["cache_prompt"], body["max_tokens"], body["temperature"]) == (True, True, 120, 0.0)
    assert body["grammar"].startswith("root ::= talk")
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"].startswith(RULES)
    assert "take_message" in body["messages"][0]["content"]


async def test_an_invented_number_is_not_spoken(llama: LlamaServer, model: LocalLLM) -> None:
    llama.says(said("A root canal is 800 dollars."), said("A root canal is 90 dollars."), said("A cleaning is 90 dollars."))
    asked = ["How much is a root canal?", "How much is a root canal?", "How much is a cleaning?"]
    answers = [(await answer(model, question)).text for question in asked]
    assert answers == [UNKNOWN, UNKNOWN, "A cleaning is 90 dollars."]


async def test_an_action_waits_until_the_caller_has_given_everything(llama: LlamaServer, model: LocalLLM) -> None:
    """The model fills every slot at once with what nobody has said."""
    llama.says(acted("take_message", FULL))
    turns = [WANTED]
    for question, given in (
        ("May I have your name, please?", "Maria Garcia."),
        ("What number can we reach you on?", "512 555 0143."),
    ):
        response = await answer(model, *turns)
        assert (response.text, response.tool_calls) == (question, [])
        turns += [question, given]
    call = (await answer(model, *turns)).tool_calls[0]
    assert (call.name, json.loads(call.arguments)) == ("take_message", FULL)


async def test_goodbye_is_said_and_the_call_ended(llama: LlamaServer, model: LocalLLM) -> None:
    llama.says(acted("end_call", {"say": "Goodbye!"}))
    response = await answer(model, "Thanks, bye.")
    assert response.text == "Goodbye!"
    assert [(call.name, call.arguments) for call in response.tool_calls] == [("end_call", "{}")]


async def test_what_a_tool_says_is_repeated_without_asking_the_model(llama: LlamaServer, model: LocalLLM) -> None:
    context = talk("Take a message.")
    output = json.dumps({"ok": True, "say": "I have Maria, 5 1 2."})
    context.insert(llm.FunctionCall(call_id="1", name="take_message", arguments="{}"))
    context.insert(llm.FunctionCallOutput(call_id="1", name="take_message", output=output, is_error=False))
    response = await model.chat(chat_ctx=context, tools=tools(), conn_options=ONCE).collect()
    assert (response.text, llama.requests) == ("I have Maria, 5 1 2.", [])


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("", UNKNOWN),
        ("We are open.", UNKNOWN),
        ('{"action": "none", "say": ', UNKNOWN),
        ('{"action": "none", "say": "We are open and', "We are open and"),
        (r'{"action": "none", "say": "We are \open."}', "We are open."),
        ('{"action": "none", "say": "We are\nopen: caf\\u00e9."}', "We are\nopen: café."),
        ('{"action": "fly", "say": "Up!"}', "Up!"),
        ('{"action": "take_message", "caller_name": "Mar', "May I have your name, please?"),
    ],
)
async def test_broken_json_never_ends_a_turn_in_silence(llama: LlamaServer, model: LocalLLM, text: str, spoken: str) -> None:
    llama.says(text)
    response = await answer(model, WANTED)
    assert (response.text, response.tool_calls) == (spoken, [])


async def failure(model: LocalLLM, options: APIConnectOptions = ONCE) -> APIError:
    with pytest.raises(APIError) as caught:
        await asyncio.wait_for(answer(model, WANTED, conn_options=options), 10)
    return caught.value


async def test_nobody_at_the_address_is_worth_another_try() -> None:
    model = make_model("http://127.0.0.1:9/v1")
    error = await failure(model)
    assert (type(error), error.retryable) == (APIConnectionError, True)
    assert "127.0.0.1:9" in str(error)
    await model.aclose()


@pytest.mark.parametrize(("status", "retryable"), [(500, True), (503, True), (429, True), (400, False), (404, False)])
async def test_a_refusal_is_told_in_the_server_s_words(llama: LlamaServer, model: LocalLLM, status: int, retryable: bool) -> None:
    llama.answers = [Answer(status=status, error="no room in the context")]
    error = await failure(model)
    assert isinstance(error, APIStatusError)
    assert (error.status_code, error.retryable) == (status, retryable)
    assert "The local language model: no room in the context" in str(error)


async def test_a_server_that_falls_silent_is_given_up(
    llama: LlamaServer, model: LocalLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_worker.providers.local_stream.PATIENCE_S", 0.3)
    llama.answers = [Answer(text=said("We are open."), waits_after=10)]
    error = await failure(model)
    assert (type(error), error.retryable) == (APITimeoutError, True)


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (Answer(text=said("We are open."), cut_after=10), APIConnectionError),
        (Answer(text=said("We are open.")[:12], garbled=True), APIConnectionError),
        (Answer(text=said("We are open.")[:12], error="the slot is gone"), APIStatusError),
    ],
    ids=["cut", "garbled", "error"],
)
async def test_a_stream_that_breaks_before_a_word_is_tried_again(
    llama: LlamaServer, model: LocalLLM, broken: Answer, kind: type[APIError]
) -> None:
    llama.answers = [broken]
    error = await failure(model)
    assert (type(error), error.retryable) == (kind, True)
    llama.requests.clear()
    llama.answers = [broken, Answer(text=said("We are open."))]
    assert (await answer(model, WANTED, conn_options=AGAIN)).text == "We are open."


async def test_a_stream_that_breaks_after_a_sentence_is_not_said_twice(llama: LlamaServer, model: LocalLLM) -> None:
    text = said("We are open. Come by whenever you like.")
    llama.answers = [Answer(text=text, cut_after=text.index("whenever"))]
    error = await failure(model, AGAIN)
    assert (error.retryable, len(llama.requests)) == (False, 1)


async def test_an_interrupted_answer_closes_its_request(llama: LlamaServer, model: LocalLLM) -> None:
    text = said("We are open. Come by.")
    llama.answers = [Answer(text=text, waits_after=text.index("Come"))]
    stream = model.chat(chat_ctx=talk(WANTED), tools=tools(), conn_options=ONCE)
    await asyncio.wait_for(anext(stream), 5)
    await stream.aclose()
    await asyncio.wait_for(llama.abandoned.wait(), 3)


async def test_after_the_last_word_the_request_runs_out(llama: LlamaServer, model: LocalLLM) -> None:
    text = said("We are open.")
    llama.answers = [Answer(text=text, waits_after=len(text) - 1, token_characters=1)]
    assert (await asyncio.wait_for(answer(model, WANTED), 5)).text == "We are open."
    assert not llama.abandoned.is_set()
    llama.go_on.set()
    await model.finished()
    assert not llama.abandoned.is_set()


async def test_tokens_are_booked(llama: LlamaServer, model: LocalLLM) -> None:
    llama.says(said("We are open."))
    booked: list[Any] = []
    model.on("metrics_collected", booked.append)
    usage = (await answer(model, WANTED)).usage
    assert usage
    assert (usage.prompt_tokens, usage.prompt_cached_tokens) == (654, 640)
    assert usage.completion_tokens == pytest.approx(len(said("We are open.")) / 3, abs=2)
    await asyncio.sleep(0.05)
    assert [(metrics.prompt_tokens, metrics.prompt_cached_tokens) for metrics in booked] == [(654, 640)]


async def test_the_instructions_are_read_before_the_first_question(llama: LlamaServer, model: LocalLLM) -> None:
    llama.says(said("Yes."))
    await model.warm_up(chat_ctx=talk(WANTED), tools=tools())
    assert llama.requests[0]["n_predict"] == 0
    await answer(model, WANTED)
    assert llama.requests[0]["messages"] == llama.requests[1]["messages"][:1]
    llama.answers = [Answer(status=500)]
    await model.warm_up(chat_ctx=talk(WANTED), tools=tools())
