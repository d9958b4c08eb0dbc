"""A call whose agent hands over: what is offered, said and written down."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from livekit.agents.llm import ChatContext, FunctionCallOutput

from agents.models import TransferTarget
from calls.models import Call
from calls.services.targets import change_target, create_target
from tenants.models import Tenant, TenantLimits
from tenants.scope import tenant_scope
from voice_worker.entrypoint import Job
from voice_worker.instructions import build_instructions
from voice_worker.providers.constant import Rule, RuleLLM, RuleStream
from voice_worker.snapshot import load_snapshot
from voice_worker.tests.calling import make_job, stages, stored, talk

TOOL = "hand_over_to_person"
ASKED = {"reason": "asked_for_a_person", "target": "Front desk", "summary": "A bill."}


@pytest.fixture
def target(caller_tenant: Tenant) -> TransferTarget:
    with tenant_scope(caller_tenant):
        TenantLimits.objects.update(allowed_countries=["US"])
        return create_target(name="Front desk", phone="+12125550123", when="Bills.")


def job_for(tenant: Tenant, target: TransferTarget, **transfer: Any) -> Job:
    return make_job(tenant, tools={"end_call": {}, TOOL: {}}, transfer={"targets": [target.public_id], **transfer})


def tools_used(call: Call) -> list[tuple[str, str, str]]:
    return list(call.tool_calls.values_list("key", "status", "output"))


def test_a_job_is_given_the_targets_as_they_are_when_the_call_is_placed(caller_tenant: Tenant, target: TransferTarget) -> None:
    job = job_for(caller_tenant, target, max_hold_s=45)
    with tenant_scope(caller_tenant):
        change_target(target=target, phone="+12125550124")
    snapshot = load_snapshot(job.call_id)
    assert ([each.phone for each in snapshot.transfers.targets], snapshot.transfers.max_hold_s) == (["+12125550123"], 45)


def test_the_agent_is_told_whom_it_can_reach_and_no_numbers(caller_tenant: Tenant, target: TransferTarget) -> None:
    job = job_for(caller_tenant, target)
    snapshot = load_snapshot(job.call_id)
    told = build_instructions(snapshot, tools=[TOOL], at=target.created_at).text
    assert "PEOPLE YOU CAN HAND OVER TO:\n- Front desk: Bills." in told
    assert "+1212" not in told
    assert "PEOPLE YOU CAN" not in build_instructions(snapshot, tools=["end_call"], at=target.created_at).text


class Told(RuleLLM):
    """Notes what a tool told it."""

    def __init__(self, rules: list[Rule]) -> None:
        super().__init__(rules)
        self.told: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def chat(self, *, chat_ctx: ChatContext, **given: Any) -> RuleStream:
        last = chat_ctx.items[-1] if chat_ctx.items else None
        if isinstance(last, FunctionCallOutput) and not self.told.done():
            self.told.set_result(last.output)
        return super().chat(chat_ctx=chat_ctx, **given)


async def test_where_there_is_no_telephone_the_agent_is_told_so(caller_tenant: Tenant, target: TransferTarget) -> None:
    job = await sync_to_async(job_for)(caller_tenant, target)
    model = Told([Rule(hears="person", tool=TOOL, arguments=ASKED)])
    async with talk(job, build=stages(hears=["A person, please."], llm=model)) as (line, _):
        await line.reply()
        await line.say()
        async with asyncio.timeout(20):
            assert "Nobody can be reached from here" in await model.told
    [(key, status, output)] = await sync_to_async(stored)(job.call_id, caller_tenant, tools_used)
    assert (key, status) == (TOOL, "refused")
    assert "Nobody can be reached from here" in output
