"""Calls to somebody, through the real voice detector: who answered decides what the agent says first."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from livekit.agents import stt

from calls.models import Call
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker.entrypoint import Job
from voice_worker.providers.constant import ConstantSTT
from voice_worker.simulation.carrier.sounds import beep
from voice_worker.tests.calling import make_job, stages, stored, talk

VOICEMAIL = "You have reached Bob. Please leave a message after the tone."
SCREEN = "Hi, if you record your name and reason for calling, I'll see if this person is available."
MENU = "For sales, press 1. For support, press 2."
MESSAGE = "This is a message."


def outbound(tenant: Tenant, **machines: Any) -> Job:
    given = {"voicemail_message": MESSAGE, "introduction": "This is Ava.", **machines}
    job = make_job(tenant, machines=given)
    with tenant_scope(tenant):
        phone = {"phone": "+12025550100", "room": f"out-{job.call_id.hex}"}
        Call.objects.filter(pk=job.call_id).update(kind=Call.Kind.OUTBOUND, transport=Call.Transport.LIVEKIT, **phone)
    return job


async def told(job: Job, tenant: Tenant) -> tuple[str, str, str, list[tuple[str, str]]]:
    """Who answered, how it ended, and who said what."""

    def read(call: Call) -> Any:
        said = list(call.turns.values_list("speaker", "text"))
        return call.answered_by, call.disposition, call.ended_reason, said

    return await sync_to_async(stored)(job.call_id, tenant, read)


async def answered(job: Job, tenant: Tenant, hears: Sequence[str], *, seconds: float = 1.0) -> Any:
    """Somebody says the first of the words, and the call is left to its end."""
    async with talk(job, build=stages(hears=hears)) as (line, running):
        await line.say(seconds)
        await running
    return await told(job, tenant)


async def test_a_person_is_greeted_after_the_hello(caller_tenant: Tenant) -> None:
    job = await sync_to_async(outbound)(caller_tenant)
    async with talk(job, build=stages(hears=["Hello?", "What time do you open?"])) as (line, _):
        await asyncio.sleep(1.0)
        assert line.audible_s == 0
        await line.ask()
        await line.ask()
        await asyncio.sleep(0.5)
    who, _, reason, said = await told(job, caller_tenant)
    assert (who, reason) == ("human", "recipient_hung_up")
    assert said == [
        ("caller", "Hello?"),
        ("agent", "Hello there."),
        ("caller", "What time do you open?"),
        ("agent", "We open at nine."),
    ]


class LateSTT(ConstantSTT):
    """Its words come so long after they were said."""

    def __init__(self, texts: Sequence[str], *, late_s: float) -> None:
        super().__init__(texts)
        self._late_s = late_s

    async def _recognize_impl(self, *args: Any, **given: Any) -> stt.SpeechEvent:
        heard = await super()._recognize_impl(*args, **given)
        await asyncio.sleep(self._late_s)
        return heard


async def test_a_cough_after_the_hello_holds_nobody_back(caller_tenant: Tenant) -> None:
    job = await sync_to_async(outbound)(caller_tenant)
    async with talk(job, build=stages(stt=LateSTT(["Hello?", ""], late_s=0.4))) as (line, _):
        await line.say(0.6)
        await asyncio.sleep(0.5)
        over = await line.say(0.3)
        await line.reply()
        assert line.replies[0] - over < 2.5, "the greeting takes 0.8 s"
    assert (await told(job, caller_tenant))[0] == "human"


async def test_words_that_go_on_after_late_ones_are_waited_for(caller_tenant: Tenant) -> None:
    job = await sync_to_async(outbound)(caller_tenant)
    async with talk(job, build=stages(stt=LateSTT(["This is Bob.", VOICEMAIL], late_s=1.2))) as (line, running):
        await line.say(0.6)
        await asyncio.sleep(0.5)
        await line.say(1.5)
        await running
    who, _, reason, said = await told(job, caller_tenant)
    assert (who, reason) == ("machine_vm", "voicemail")
    assert [speaker for speaker, _ in said] == ["caller"]


async def test_whoever_says_nothing_is_greeted_all_the_same(caller_tenant: Tenant) -> None:
    job = await sync_to_async(outbound)(caller_tenant, silence_after_answer_s=1)
    async with talk(job) as (line, _):
        await line.reply()
    who, _, _, said = await told(job, caller_tenant)
    assert (who, said) == ("uncertain", [("agent", "Hello there.")])


async def test_a_mailbox_that_begins_late_is_still_found_out(caller_tenant: Tenant) -> None:
    job = await sync_to_async(outbound)(caller_tenant, silence_after_answer_s=1)
    async with talk(job, build=stages(hears=[VOICEMAIL])) as (line, running):
        await line.reply()
        await line.say(1.5)
        await running
    who, disposition, reason, said = await told(job, caller_tenant)
    assert (who, disposition, reason) == ("machine_vm", "voicemail", "voicemail")
    assert said[:2] == [("agent", "Hello there."), ("caller", VOICEMAIL)]


@pytest.mark.parametrize(
    ("words", "policy", "ends"),
    [
        (VOICEMAIL, {}, ("machine_vm", "voicemail", "voicemail")),
        ("The mailbox is full.", {"on_voicemail": "leave_message"}, ("machine_unavailable", "voicemail", "machine_unavailable")),
        (MENU, {}, ("machine_ivr", "no_answer", "menu")),
        (SCREEN, {"on_screening": "hang_up"}, ("screening", "rejected", "screened")),
    ],
)
async def test_the_agent_hangs_up_on_machines(caller_tenant: Tenant, words: str, policy: Any, ends: tuple[str, ...]) -> None:
    job = await sync_to_async(outbound)(caller_tenant, **policy)
    found = await answered(job, caller_tenant, [words])
    assert found == (*ends, [("caller", words)])


async def test_a_message_is_left_once_after_the_beep(caller_tenant: Tenant) -> None:
    job = await sync_to_async(outbound)(caller_tenant, on_voicemail="leave_message")
    async with talk(job, build=stages(hears=[VOICEMAIL])) as (line, running):
        await line.say(2.0)
        await asyncio.sleep(1.5)
        assert line.audible_s == 0
        await line.input.say(beep()).spoken()
        await running
        assert len(line.replies) == 1
    who, disposition, reason, said = await told(job, caller_tenant)
    assert (who, disposition, reason) == ("machine_vm", "voicemail", "message_left")
    assert said[0] == ("caller", VOICEMAIL)
    assert said[-1] == ("agent", MESSAGE)


async def test_without_a_beep_the_message_follows_the_greeting(caller_tenant: Tenant) -> None:
    job = await sync_to_async(outbound)(caller_tenant, on_voicemail="leave_message")
    words = "You have reached my voicemail. Leave your name and number."
    who, disposition, reason, said = await answered(job, caller_tenant, [words])
    assert (who, disposition, reason) == ("machine_vm", "voicemail", "message_left")
    assert said == [("caller", words), ("agent", MESSAGE)]


async def test_a_mailbox_may_be_talked_to_like_a_person(caller_tenant: Tenant) -> None:
    job = await sync_to_async(outbound)(caller_tenant, on_voicemail="continue")
    async with talk(job, build=stages(hears=[VOICEMAIL])) as (line, _):
        await line.ask()
    who, _, _, said = await told(job, caller_tenant)
    assert (who, said[1]) == ("machine_vm", ("agent", "Hello there."))


async def test_the_agent_introduces_itself_and_greets_the_person(caller_tenant: Tenant) -> None:
    job = await sync_to_async(outbound)(caller_tenant)
    async with talk(job, build=stages(hears=[SCREEN, "Hello?", "What time do you open?"])) as (line, _):
        await line.ask()
        await line.ask()
        await line.ask()
        await asyncio.sleep(0.5)
    who, _, _, said = await told(job, caller_tenant)
    assert who == "screening"
    assert [text for speaker, text in said if speaker == "agent"] == ["This is Ava.", "Hello there.", "We open at nine."]


async def test_a_menu_is_answered_by_the_model(caller_tenant: Tenant) -> None:
    job = await sync_to_async(outbound)(caller_tenant, on_menu="continue")
    async with talk(job, build=stages(hears=["To open an account, press 1."])) as (line, _):
        await line.ask()
    who, _, _, said = await told(job, caller_tenant)
    assert (who, said[1]) == ("machine_ivr", ("agent", "We open at nine."))
