"""What callers hear when something behind the agent breaks, and what staff read afterwards."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from livekit.agents import llm

from calls.models import Call
from calls.services.commands import request_hang_up
from tenants.models import Plan, Tenant
from tenants.scope import tenant_scope
from tenants.services.features import set_feature
from tenants.services.plans import choose_plan
from voice_worker.pipeline import Stages, build_stages
from voice_worker.providers.base import ProviderConfigError
from voice_worker.providers.constant import Rule, RuleLLM
from voice_worker.spoken import SpokenConversation
from voice_worker.tests.calling import make_job, stages, stored, talk
from voice_worker.tests.failing import BreakableTTS, BrokenLLM

FEATURE = "voice-agent-tool-take-message"
APOLOGY = "I am sorry, I cannot go on."
GIVEN = {"caller_name": "Maria Lopez", "phone": "512 555 0143", "reason": "insurance"}


def ending(call: Call) -> tuple[str, str, str, list[tuple[str, str]]]:
    turns = list(call.turns.values_list("source", "text"))
    return call.disposition, call.ended_reason, call.ended_detail, turns


async def test_a_model_that_fails_for_good_gets_an_apology(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant, apology=APOLOGY)
    async with talk(job, build=stages(llm=BrokenLLM())) as (line, running):
        await line.reply()
        await line.say()
        outcome = await asyncio.wait_for(running, 20)
        assert line.audible_s > 1.5
    assert outcome
    assert outcome.reason == "provider_error"
    disposition, reason, detail, turns = await sync_to_async(stored)(job.call_id, caller_tenant, ending)
    assert (disposition, reason) == ("failed", "provider_error")
    assert "does not answer" in detail
    assert turns[-1] == ("apology", APOLOGY)


async def test_a_fallback_takes_over_without_an_apology(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    brain = llm.FallbackAdapter([BrokenLLM(), RuleLLM([Rule(hears="", say="At nine.")])], attempt_timeout=2)
    async with talk(job, build=stages(llm=brain)) as (line, _):
        await line.reply()
        await line.ask()
    _, reason, _, turns = await sync_to_async(stored)(job.call_id, caller_tenant, ending)
    assert reason == "caller_hung_up"
    assert turns[-1] == ("reply", "At nine.")


async def test_a_voice_that_fails_apologises_with_sound_made_before(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant, apology=APOLOGY)
    voice = BreakableTTS()
    async with talk(job, build=stages(tts=voice)) as (line, running):
        await line.reply()
        await asyncio.sleep(4.0)
        voice.broken, heard = True, line.audible_s
        await line.say()
        outcome = await asyncio.wait_for(running, 20)
        assert line.audible_s - heard > 1.5
    assert outcome
    assert outcome.reason == "provider_error"
    assert (await sync_to_async(stored)(job.call_id, caller_tenant, ending))[3][-1] == ("apology", APOLOGY)


async def test_a_model_that_never_answers_is_given_up(caller_tenant: Tenant, monkeypatch) -> None:
    monkeypatch.setattr(SpokenConversation, "longest_thought_s", 2.0)
    job = await sync_to_async(make_job)(caller_tenant, apology=APOLOGY)
    async with talk(job, build=stages(llm=BrokenLLM(hangs=True))) as (line, running):
        await line.reply()
        await line.say()
        outcome = await asyncio.wait_for(running, 20)
    assert outcome
    assert outcome.reason == "provider_error"


async def test_a_model_that_is_not_there_fails_the_call_with_the_reason(caller_tenant: Tenant, settings) -> None:
    settings.VP_BRAIN_URL = "http://127.0.0.1:9/v1"
    job = await sync_to_async(make_job)(caller_tenant, brain={"provider": "local", "model": "default"})
    outcome = await run_without_line(job, build_stages)
    assert (outcome.disposition, outcome.reason) == ("failed", "model_missing")
    assert "127.0.0.1:9" in outcome.detail
    assert (await sync_to_async(stored)(job.call_id, caller_tenant, ending))[:2] == ("failed", "model_missing")


async def test_a_provider_without_its_key_fails_the_call_with_the_reason(caller_tenant: Tenant) -> None:
    async def build(_: object) -> Stages:
        raise ProviderConfigError("Gemini needs GEMINI_API_KEY, which is not set.")

    job = await sync_to_async(make_job)(caller_tenant)
    outcome = await run_without_line(job, build)
    assert (outcome.reason, outcome.detail) == ("config_error", "Gemini needs GEMINI_API_KEY, which is not set.")


async def run_without_line(job, build):
    from voice_worker.entrypoint import run_call

    async def nobody(*_: object):
        raise AssertionError("nobody is called")

    return await asyncio.wait_for(run_call(job, ends=nobody, stages=build), 20)


def switch_off(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        set_feature(key=FEATURE, enabled=False, reason="test")


def put_on_a_plan_without(tenant: Tenant) -> None:
    plan = Plan.objects.create(name="Bare", features={FEATURE: {"enabled": False, "config": {}}})
    with tenant_scope(tenant):
        choose_plan(plan=plan, reason="test")


@pytest.mark.parametrize("take_away", [switch_off, put_on_a_plan_without])
async def test_a_feature_taken_away_in_mid_call_refuses_the_tool_within_five_seconds(caller_tenant: Tenant, take_away) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    rule = Rule(hears="", tool="take_message", arguments=GIVEN)
    said = "This is Maria Lopez, 512 555 0143, about my insurance."
    async with talk(job, build=stages(hears=[said], rules=[rule])) as (line, _):
        await line.reply()
        await line.ask()
        await sync_to_async(take_away)(caller_tenant)
        taken_at_ms = line.clock.now() * 1000
        await asyncio.sleep(2.8)
        await line.ask()
    uses = await sync_to_async(stored)(
        job.call_id, caller_tenant, lambda call: [(use.status, use.output, use.started_ms) for use in call.tool_calls.all()]
    )
    assert [status for status, _, _ in uses] == ["ok", "refused"]
    assert "switched off" in uses[1][1]
    assert uses[1][2] - taken_at_ms < 5000


async def test_staff_can_hang_up(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    async with talk(job) as (line, running):
        await line.reply()
        await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: request_hang_up(call, reason="wrong person"))
        outcome = await asyncio.wait_for(running, 8)
    assert outcome
    assert (outcome.disposition, outcome.reason, outcome.detail) == ("canceled", "canceled_by_user", "wrong person")
