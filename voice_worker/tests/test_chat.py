"""Chats: messages in, turns out, through the session that calls use."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from livekit.agents import llm

from agents.models import Agent
from calls.models import Call, CallCommand, CallEvent, WorkerHost
from calls.services.chats import start_chat
from calls.services.commands import request_hang_up
from calls.services.hosts import register_host
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker import written
from voice_worker.entrypoint import Job, run_call
from voice_worker.outcome import END_CALL, IDLE, Outcome
from voice_worker.providers.constant import Rule, RuleLLM
from voice_worker.tests.calling import BYE, OPENS, make_greeter, make_job, stages, stored, talk
from voice_worker.tests.chatting import answered, write
from voice_worker.tests.failing import BrokenLLM

MESSAGE = {"caller_name": "Maria Garcia", "phone": "512-555-0143", "reason": "my insurance"}
NOTED = Rule(hears="message", tool="take_message", arguments=MESSAGE)
RULES = (BYE, NOTED, OPENS)


async def nobody(*_: Any) -> Any:
    raise AssertionError("a chat has no line")


def make_chat(tenant: Tenant, *, message: str = "", agent: Agent | None = None, **greeter: Any) -> tuple[Job, CallCommand | None]:
    with tenant_scope(tenant):
        host: WorkerHost = register_host(name="test", transport="local", slots=1)
        call, command = start_chat(agent=agent or make_greeter(**greeter), message=message)
        Call.objects.filter(pk=call.pk).update(host=host)
    return Job(call_id=call.pk, job_id=f"job-{call.pk}", host_id=host.pk), command


@asynccontextmanager
async def chatting(
    job: Job, *, rules: Sequence[Rule] = RULES, mind: llm.LLM | None = None
) -> AsyncIterator["asyncio.Task[Outcome | None]"]:
    stop = asyncio.Event()

    async def build(_: object) -> llm.LLM:
        return mind or RuleLLM(rules)

    running = asyncio.create_task(run_call(job, ends=nobody, mind=build, stop=stop))
    try:
        yield running
    finally:
        stop.set()
        await asyncio.wait_for(running, 20)


def in_scope(tenant: Tenant, make: Callable[[], Agent]) -> Agent:
    with tenant_scope(tenant):
        return make()


ask: Callable[..., Any] = sync_to_async(lambda tenant, job, text: answered(tenant, write(tenant, job.call_id, text)))


async def test_each_message_gets_the_turns_that_answer_it(caller_tenant: Tenant) -> None:
    job, first = await sync_to_async(make_chat)(caller_tenant, message="When do you open?")
    async with chatting(job):
        assert await sync_to_async(answered)(caller_tenant, first) == [
            ("caller", "text", "When do you open?"),
            ("agent", "reply", "We open at nine."),
        ]
        assert await ask(caller_tenant, job, "Open on Sundays?") == [
            ("caller", "text", "Open on Sundays?"),
            ("agent", "reply", "We open at nine."),
        ]

    def everything(call: Call) -> Any:
        turns = list(call.turns.values_list("sequence", "source"))
        return call.kind, call.livemode, turns, call.recordings.exists(), list(call.commands.values_list("text", flat=True))

    assert await sync_to_async(stored)(job.call_id, caller_tenant, everything) == (
        "chat",
        False,
        [(1, "greeting"), (2, "text"), (3, "reply"), (4, "text"), (5, "reply")],
        False,
        ["", ""],
    )


async def test_messages_sent_together_are_answered_in_their_order(caller_tenant: Tenant) -> None:
    job, _ = await sync_to_async(make_chat)(caller_tenant)
    texts = [f"{number}: open?" for number in range(4)]
    commands = [await sync_to_async(write)(caller_tenant, job.call_id, text) for text in texts]
    async with chatting(job):
        for text, command in zip(texts, commands, strict=True):
            turns = await sync_to_async(answered)(caller_tenant, command)
            assert [said for _, _, said in turns] == [text, "We open at nine."]


async def test_a_goodbye_ends_the_chat_after_its_last_words(caller_tenant: Tenant) -> None:
    job, command = await sync_to_async(make_chat)(caller_tenant, message="bye")
    async with chatting(job) as running:
        turns = await sync_to_async(answered)(caller_tenant, command)
        assert [text for _, _, text in turns] == ["bye", "Goodbye!"]
        assert await asyncio.wait_for(running, 10) == END_CALL


async def test_a_chat_nobody_writes_in_is_closed(caller_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "IDLE_S", 0.5)
    job, _ = await sync_to_async(make_chat)(caller_tenant)
    async with chatting(job) as running:
        assert await asyncio.wait_for(running, 10) == IDLE


async def test_a_model_that_fails_apologises_and_leaves_the_message_unanswered(caller_tenant: Tenant) -> None:
    job, command = await sync_to_async(make_chat)(caller_tenant, message="hello", apology="I am sorry, I cannot go on.")
    async with chatting(job, mind=BrokenLLM()) as running:
        outcome = await asyncio.wait_for(running, 20)
        assert outcome
        assert outcome.reason == "provider_error"
    assert await sync_to_async(answered)(caller_tenant, command) == []

    def last(call: Call) -> Any:
        return call.turns.order_by("-sequence").values_list("source", "text").first()

    assert await sync_to_async(stored)(job.call_id, caller_tenant, last) == ("apology", "I am sorry, I cannot go on.")


async def test_a_chat_is_hung_up_like_a_call(caller_tenant: Tenant) -> None:
    job, command = await sync_to_async(make_chat)(caller_tenant, message="open?")

    def hang_up() -> None:
        with tenant_scope(caller_tenant):
            request_hang_up(Call.objects.get(pk=job.call_id), reason="enough")

    async with chatting(job) as running:
        await sync_to_async(answered)(caller_tenant, command)
        await sync_to_async(hang_up)()
        outcome = await asyncio.wait_for(running, 10)
        assert outcome
        assert (outcome.reason, outcome.detail) == ("canceled_by_user", "enough")


def _facts(call: Call) -> Any:
    prepared = CallEvent.objects.get(call=call, kind="prepared").data
    tools = list(call.tool_calls.values_list("key", "arguments", "status", "output"))
    return prepared["instructions_sha256"], prepared["tools"], tools, [text for (text,) in call.turns.values_list("text")]


async def test_a_script_is_the_same_conversation_written_and_spoken(
    caller_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 11, 25, 12, tzinfo=tz or UTC)

    monkeypatch.setattr("voice_worker.entrypoint.datetime", Noon)
    script = ("When do you open?", "Please take a message for Maria Garcia, 512-555-0143, about my insurance.", "bye")
    agent = await sync_to_async(in_scope)(caller_tenant, make_greeter)
    chat, _ = await sync_to_async(make_chat)(caller_tenant, agent=agent)
    async with chatting(chat) as running:
        for text in script:
            await ask(caller_tenant, chat, text)
        await asyncio.wait_for(running, 10)
    call = await sync_to_async(make_job)(caller_tenant, agent=agent)
    async with talk(call, build=stages(hears=script, rules=RULES)) as (line, running):
        await line.reply()
        for _ in script:
            await line.ask()
        await asyncio.wait_for(running, 20)
    written_facts = await sync_to_async(stored)(chat.call_id, caller_tenant, _facts)
    assert written_facts == await sync_to_async(stored)(call.call_id, caller_tenant, _facts)
    assert [key for key, *_ in written_facts[2]] == ["take_message", "end_call"]
