"""Steering a running call: what is ordered happens, and its outcome is told."""

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from agents.models import TransferTarget
from calls.models import Call
from calls.services.targets import create_target
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker.entrypoint import Job
from voice_worker.line import NotPutThroughError
from voice_worker.outcome import TRANSFERRED
from voice_worker.overhearing import Words
from voice_worker.providers.constant import Rule, RuleLLM
from voice_worker.tests.calling import make_job, stages, stored, talk
from voice_worker.tests.steering import Kind, act, as_phone_call, order, outcome, running
from voice_worker.tests.test_chat import ask, chatting, make_chat
from voice_worker.tests.test_keys import Phone

LONG = "We are open from nine to five on every weekday, and on Saturday from ten to two, but never on a Sunday."
NOTE = {"caller_name": "Maria Garcia", "phone": "512-555-0143", "reason": "my insurance"}


class Reading(RuleLLM):
    """Keeps the instructions it was given last."""

    instructions = ""
    asked = 0

    def chat(self, **given: Any) -> Any:
        self.asked += 1
        self.instructions = next((item.text_content or "" for item in given["chat_ctx"].items if item.type == "message"), "")
        self.said = [item.text_content for item in given["chat_ctx"].items if item.type == "message" and item.role == "user"]
        return super().chat(**given)


async def turns(job: Job, tenant: Tenant) -> list[tuple[str, str, str]]:
    read = sync_to_async(stored)
    return await read(job.call_id, tenant, lambda call: list(call.turns.values_list("speaker", "source", "text")))


async def test_what_is_to_be_said_now_breaks_off_what_is_being_said(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant, opening={"greeting": LONG})
    async with talk(job) as (line, _):
        await running(caller_tenant, job)
        await asyncio.sleep(0.5)
        assert await act(caller_tenant, job, Kind.SAY, text="One moment.") == ("done", "")
        assert line.replies[-1] < 4
    said = await turns(job, caller_tenant)
    assert said[1] == ("agent", "ordered", "One moment.")
    assert len(said[0][2]) < len(LONG) / 2


async def test_what_is_to_be_said_next_waits_for_its_turn(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant, opening={"greeting": "Hello there, how are you?"})
    async with talk(job):
        await running(caller_tenant, job)
        assert await act(caller_tenant, job, Kind.SAY, text="One moment.", when="after_speech") == ("done", "")
    assert [text for _, _, text in await turns(job, caller_tenant)] == ["Hello there, how are you?", "One moment."]


@pytest.mark.parametrize("interruptible", [True, False])
async def test_the_caller_may_break_in_if_they_may(caller_tenant: Tenant, interruptible: bool) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    async with talk(job) as (line, _):
        await line.reply()
        said = await order(caller_tenant, job, Kind.SAY, text=LONG, interruptible=interruptible)
        await asyncio.sleep(1.0)
        await line.say(1.2)
        assert await outcome(caller_tenant, said) == ("done", "", {"interrupted": interruptible})


async def test_an_instruction_holds_from_then_on_and_is_not_spoken(caller_tenant: Tenant) -> None:
    job, model = await sync_to_async(make_job)(caller_tenant), Reading([Rule(hears="", say="Yes.")])
    async with talk(job, build=stages(llm=model)) as (line, _):
        await line.reply()
        assert await act(caller_tenant, job, Kind.INSTRUCT, text="Offer them ten percent.") == ("done", "")
        assert await act(caller_tenant, job, Kind.INSTRUCT, text="Be brief.") == ("done", "")
        await line.ask()
        assert "Offer them ten percent.\n- Be brief." in model.instructions
        assert model.instructions.startswith("You are")
        await line.ask()
        assert "Be brief." in model.instructions
    assert "percent" not in str(await turns(job, caller_tenant))


async def test_a_muted_agent_hears_and_neither_speaks_nor_acts(caller_tenant: Tenant) -> None:
    limits = {"silence_prompt_after_s": 3, "silence_prompts": 1}
    job = await sync_to_async(make_job)(caller_tenant, limits=limits, opening={"greeting": LONG})
    model = Reading([Rule(hears="message", tool="take_message", arguments=NOTE), Rule(hears="", say="Yes?")])
    hears = ["Take a message for Maria Garcia, 512-555-0143, my insurance.", "And now?"]
    async with talk(job, build=stages(hears=hears, llm=model)) as (line, run):
        await running(caller_tenant, job)
        assert await act(caller_tenant, job, Kind.MUTE_AGENT) == ("done", "")
        heard = line.audible_s
        await line.say()
        await asyncio.sleep(5)
        assert (line.audible_s - heard < 0.1, model.asked, run.done()) == (True, 0, False)
        assert await act(caller_tenant, job, Kind.SAY, text="Hello.") == ("failed", "agent_muted")
        assert await act(caller_tenant, job, Kind.UNMUTE_AGENT) == ("done", "")
        await line.ask()
        assert model.said == hears, "it knows what was said meanwhile"
    said = await turns(job, caller_tenant)
    assert [text for speaker, _, text in said if speaker == "caller"] == hears
    assert [source for speaker, source, _ in said if speaker == "agent"] == ["greeting", "reply"]
    assert await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: call.tool_calls.count()) == 0


async def test_keys_pressed_to_a_muted_agent_are_noted(caller_tenant: Tenant) -> None:
    job, model = await sync_to_async(make_job)(caller_tenant), Reading([Rule(hears="", say="Yes.")])
    async with talk(job, build=stages(llm=model)) as (line, _):
        line.keys = phone = Phone()
        await line.reply()
        await act(caller_tenant, job, Kind.MUTE_AGENT)
        await phone.type_in("12#")
        await asyncio.sleep(0.5)
        assert model.asked == 0
        await act(caller_tenant, job, Kind.UNMUTE_AGENT)
        await line.ask()
        assert model.said[0] == "[pressed: 12#]"


async def test_digits_are_pressed_where_there_is_a_phone(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    async with talk(job) as (line, _):
        await as_phone_call(caller_tenant, job)
        assert await act(caller_tenant, job, Kind.SEND_DTMF, digits="1w2#") == ("failed", "no_keys")
        line.keys = phone = Phone()
        assert await act(caller_tenant, job, Kind.SEND_DTMF, digits="1w2#") == ("done", "")
        assert phone.pressed == "1w2#"


async def test_a_call_is_hung_up_after_its_last_words(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant, opening={"greeting": LONG})
    async with talk(job) as (_, run):
        await running(caller_tenant, job)
        await asyncio.sleep(0.5)
        hung_up = await order(caller_tenant, job, Kind.HANG_UP, text="We have to stop here. Goodbye.")
        ended = await asyncio.wait_for(run, 15)
        assert ended
        assert (ended.disposition, ended.reason) == ("canceled", "canceled_by_user")
    assert (await outcome(caller_tenant, hung_up))[:2] == ("done", "")
    assert (await turns(job, caller_tenant))[-1] == ("agent", "ordered", "We have to stop here. Goodbye.")


async def test_a_caller_is_put_through_and_the_call_is_over(caller_tenant: Tenant) -> None:
    job, dialed = await sync_to_async(make_job)(caller_tenant), list[str]()
    async with talk(job) as (line, run):

        async def refer(phone: str) -> None:
            dialed.append(phone)
            line.leave()
            await asyncio.sleep(0.5)

        line.refer = refer
        await as_phone_call(caller_tenant, job)
        moved = await order(caller_tenant, job, Kind.TRANSFER, to="+12125550123", text="One moment.")
        assert await asyncio.wait_for(run, 15) == TRANSFERRED
    assert dialed == ["+12125550123"]
    assert (await outcome(caller_tenant, moved))[:2] == ("done", "")


async def test_a_caller_is_introduced_to_a_target_or_stays(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    async with talk(job) as (line, _):
        await line.reply()
        await as_phone_call(caller_tenant, job)
        target = await sync_to_async(a_target)(caller_tenant)
        assert await act(caller_tenant, job, Kind.TRANSFER, target=target, summary="A bill.") == ("failed", "failed")
        assert await act(caller_tenant, job, Kind.TRANSFER, target=target, mode="blind") == ("failed", "no_phone")
        await line.ask()
    (told,) = await sync_to_async(stored)(job.call_id, caller_tenant, hand_overs)
    assert [(each["name"], each["outcome"]) for each in told["tried"]] == [("Front desk", "failed")]
    assert (told["target"], told["summary"]) == (None, "A bill.")


def a_target(tenant: Tenant) -> TransferTarget:
    with tenant_scope(tenant):
        return create_target(name="Front desk", phone="+12125550123")


def hand_overs(call: Call) -> list[dict[str, Any]]:
    return list(call.events.filter(kind="hand_over").values_list("data", flat=True))


async def test_an_agent_goes_on_with_whom_nobody_wanted(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    async with talk(job) as (line, _):

        async def refer(_: str) -> None:
            raise NotPutThroughError("busy")

        await line.reply()
        await as_phone_call(caller_tenant, job)
        assert await act(caller_tenant, job, Kind.TRANSFER, to="+12125550123") == ("failed", "no_phone")
        line.refer = refer
        assert await act(caller_tenant, job, Kind.TRANSFER, to="+12125550123") == ("failed", "busy")
        await line.replied(2, timeout_s=30)
        await line.ask()
    told, _, answer = (await turns(job, caller_tenant))[-3:]
    assert told == ("agent", "ordered", "I am sorry, nobody can take your call right now.")
    assert answer == ("agent", "reply", "We open at nine.")


async def test_what_is_under_way_when_the_call_ends_has_failed(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    async with talk(job) as (line, _):
        await line.reply()
        said = await order(caller_tenant, job, Kind.SAY, text=LONG)
        await asyncio.sleep(1.0)
    assert (await outcome(caller_tenant, said))[:2] == ("failed", "call_ended")


class Room:
    """Supervisors who come and go as a test says."""

    def listen(self, *, joined: Any, left: Any, said: Any, hearing: Any) -> None:
        self.joined, self.left, self.said = joined, left, said

    def add_tap(self, tap: Any) -> None:
        """They say nothing."""


async def test_the_agent_goes_on_when_the_last_supervisor_is_gone(caller_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice_worker.spoken.HAND_BACK_S", 0.5)
    job = await sync_to_async(make_job)(caller_tenant, hand_back="It is me again.")
    async with talk(job) as (line, _):
        line.supervisors = room = Room()
        await line.reply()
        room.joined("supervisor-1")
        room.joined("supervisor-2")
        assert await act(caller_tenant, job, Kind.UNMUTE_AGENT) == ("failed", "taken_over")
        room.left("supervisor-1")
        room.left("supervisor-2")
        room.joined("supervisor-2")
        heard = line.audible_s
        await asyncio.sleep(1.5)
        assert line.audible_s - heard < 0.1, "one has come back"
        room.left("supervisor-2")
        await line.reply(timeout_s=6)
    assert (await turns(job, caller_tenant))[-1] == ("agent", "ordered", "It is me again.")


async def test_the_agent_knows_what_was_said_in_its_place(caller_tenant: Tenant) -> None:
    job, model = await sync_to_async(make_job)(caller_tenant), Reading([Rule(hears="", say="Yes.")])
    async with talk(job, build=stages(llm=model)) as (line, _):
        line.supervisors = room = Room()
        await line.reply()
        room.said(Words("We close at five.", started_at=1.0, ended_at=2.0, language="en"))
        await line.ask()
        assert model.said == ["[said by a colleague of yours, to the caller: We close at five.]", "What time do you open?"]
    said = await turns(job, caller_tenant)
    assert ("person", "speech", "We close at five.") in said


async def test_a_chat_is_steered_in_writing(caller_tenant: Tenant) -> None:
    (job, _), model = await sync_to_async(make_chat)(caller_tenant), Reading([Rule(hears="", say="Yes.")])
    async with chatting(job, mind=model) as run:
        await ask(caller_tenant, job, "Hello?")
        assert await act(caller_tenant, job, Kind.SAY, text="A word from us.") == ("done", "")
        assert await act(caller_tenant, job, Kind.INSTRUCT, text="Be brief.") == ("done", "")
        await ask(caller_tenant, job, "And now?")
        assert "- Be brief." in model.instructions
        await order(caller_tenant, job, Kind.HANG_UP, text="Goodbye.")
        ended = await asyncio.wait_for(run, 15)
        assert ended
        assert ended.reason == "canceled_by_user"
    said = [(source, text) for _, source, text in await turns(job, caller_tenant)]
    assert said[3] == ("ordered", "A word from us.")
    assert said[-1] == ("ordered", "Goodbye.")


async def test_orders_come_without_redis_too(caller_tenant: Tenant, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    job = await sync_to_async(make_job)(caller_tenant)
    async with talk(job) as (line, _):
        await line.reply()
        assert await act(caller_tenant, job, Kind.MUTE_AGENT) == ("done", "")
    assert await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: call.status) == Call.Status.ENDED


async def test_what_is_ordered_runs_in_the_jobs_own_context(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    here: ContextVar[str] = ContextVar("here", default="nowhere")
    here.set("the job")
    async with talk(job) as (line, _):
        seen: asyncio.Queue[str] = asyncio.Queue()

        async def refer(_: str) -> None:
            seen.put_nowait(here.get())

        line.refer = refer
        await as_phone_call(caller_tenant, job)
        await order(caller_tenant, job, Kind.TRANSFER, to="+12125550123")
        async with asyncio.timeout(10):
            assert await seen.get() == "the job"
