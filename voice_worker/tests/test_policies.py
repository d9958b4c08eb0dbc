"""How much is kept: a phrase that is said, answered and passed to tools is looked for everywhere afterwards."""

import asyncio
import logging
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.apps import apps
from django.conf import settings as django_settings
from django.core.files.storage import storages
from django.db import connection

from agents.models import Agent
from calls import handlers as _calls  # noqa: F401 - who is told what
from calls.models import Call
from calls.policies import EVERYTHING, NO_CONTENT, NO_RECORDING, policy_of
from calls.services import finalize_call
from calls.services.journal import apply_entries
from calls.tests import journal as j
from integrations import handlers as _integrations  # noqa: F401
from integrations.services.endpoints import create_endpoint
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.services.delivery import drain
from tenants.services.features import set_feature
from voice_worker.entrypoint import Job
from voice_worker.providers.constant import Rule
from voice_worker.spool import Spool
from voice_worker.tests.calling import make_greeter, make_job, stages, stored, talk
from voice_worker.tests.chatting import answered
from voice_worker.tests.failing import BrokenLLM
from voice_worker.tests.test_chat import chatting, make_chat

CANARY = "periwinkle"
SAID = f"This is {CANARY} Smith, 512 555 0143, about {CANARY}, please pass it on."
GIVEN = {"caller_name": f"{CANARY} Smith", "phone": "512 555 0143", "reason": CANARY}
RULES = [Rule(hears=CANARY, say=f"I heard {CANARY}.", tool="take_message", arguments=GIVEN)]


def tables() -> set[str]:
    """The tables in which a row holds the phrase."""
    found = set()
    with connection.cursor() as cursor:
        for model in apps.get_models():
            name = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {name} row WHERE row::text ILIKE %s)", [f"%{CANARY}%"])  # noqa: S608 - our own tables
            if cursor.fetchone()[0]:
                found.add(model._meta.db_table)
    return found


def files() -> list[str]:
    roots = (Path(django_settings.VP_SPOOL), Path(django_settings.VP_FILES))
    return [
        str(path) for root in roots for path in root.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes().lower()
    ]


def in_redis() -> list[bytes]:
    with redis.Redis.from_url(django_settings.REDIS_URL) as client:
        return [key for key in client.scan_iter() if CANARY.encode() in (client.dump(key) or b"")]


def sounds() -> int:
    return len([path for root in (django_settings.VP_SPOOL, django_settings.VP_FILES) for path in Path(root).rglob("*.ogg")])


def hand_in(job: Job, tenant: Tenant) -> None:
    """What the host and the outbox do after the call."""
    with tenant_scope(tenant):
        finalize_call(call_id=job.call_id)
    Spool(Path(django_settings.VP_SPOOL)).hand_in(job.call_id)
    Context().run(drain)


def prepare(tenant: Tenant, *, kept: str, by_tenant: bool) -> Job:
    with tenant_scope(tenant):
        create_endpoint(url="https://hooks.example.com/x", event_types=["call.ended", "message.taken"])
        if by_tenant and kept != EVERYTHING:
            set_feature(key="storage-policy", enabled=True, config={"keeps": kept}, actor=None, reason="test")
        agent: Agent = make_greeter(**({} if by_tenant else {"kept": kept}))
    return make_job(tenant, agent=agent)


EXPECTED = {
    EVERYTHING: {"calls_turn", "calls_toolcall", "calls_message", "integrations_webhookdelivery"},
    NO_RECORDING: {"calls_turn", "calls_toolcall", "calls_message", "integrations_webhookdelivery"},
    NO_CONTENT: set(),
}


@pytest.mark.parametrize("by_tenant", [False, True])
@pytest.mark.parametrize("kept", EXPECTED)
async def test_the_phrase_is_only_where_the_policy_keeps_it(
    caller_tenant: Tenant, sent_messages: Any, caplog: pytest.LogCaptureFixture, *, kept: str, by_tenant: bool
) -> None:
    caplog.set_level(logging.INFO)
    job = await sync_to_async(prepare)(caller_tenant, kept=kept, by_tenant=by_tenant)
    async with talk(job, build=stages(hears=[SAID], rules=RULES)) as (line, _):
        await line.reply()
        await line.ask()
        await asyncio.sleep(0.8)
        # Not even while the call is running.
        if kept == NO_CONTENT:
            assert (await sync_to_async(tables)(), files()) == (set(), [])
    await sync_to_async(hand_in)(job, caller_tenant)
    assert await sync_to_async(tables)() == EXPECTED[kept]
    assert sounds() == (1 if kept == EVERYTHING else 0)
    assert (files(), in_redis(), CANARY in caplog.text.lower()) == ([], [], False)
    turns = await sync_to_async(stored)(
        job.call_id, caller_tenant, lambda call: list(call.turns.values_list("speaker", "redacted"))
    )
    assert turns[:3] == [("agent", kept == NO_CONTENT), ("caller", kept == NO_CONTENT), ("agent", kept == NO_CONTENT)]


async def test_a_failing_provider_does_not_repeat_what_it_was_sent(
    caller_tenant: Tenant, caplog: pytest.LogCaptureFixture, sent_messages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from livekit.agents import APIConnectionError

    from voice_worker.tests import failing

    async def fail(self: Any) -> None:
        raise APIConnectionError(f"400: cannot answer {CANARY}")

    monkeypatch.setattr(failing._BrokenStream, "_run", fail)
    caplog.set_level(logging.INFO, logger="voice_worker")
    job = await sync_to_async(prepare)(caller_tenant, kept=NO_CONTENT, by_tenant=False)
    async with talk(job, build=stages(hears=[SAID], llm=BrokenLLM())) as (line, running):
        await line.reply()
        await line.say()
        await running
    await sync_to_async(hand_in)(job, caller_tenant)
    assert (await sync_to_async(tables)(), files(), in_redis()) == (set(), [], [])
    assert CANARY not in "".join(str(r.msg) for r in caplog.records if r.name.startswith("voice_worker")).lower()


async def test_a_chat_is_forgotten_when_it_is_over(caller_tenant: Tenant, sent_messages: Any) -> None:
    def start() -> Any:
        with tenant_scope(caller_tenant):
            agent = make_greeter(kept=NO_CONTENT)
        return make_chat(caller_tenant, message=SAID, agent=agent)

    job, message = await sync_to_async(start)()
    async with chatting(job, rules=RULES):
        told = await sync_to_async(answered)(caller_tenant, message)
        assert any(CANARY in text for _, _, text in told)
    await sync_to_async(hand_in)(job, caller_tenant)
    assert (await sync_to_async(tables)(), files(), in_redis()) == (set(), [], [])


def test_what_arrives_late_is_not_kept_either(caller_tenant: Tenant) -> None:
    job = prepare(caller_tenant, kept=NO_CONTENT, by_tenant=False)

    def end(call: Call) -> None:
        Call.objects.filter(pk=call.pk).update(
            status="dispatched", dispatched_at=call.created_at, job_id="j", claimed_at=call.created_at
        )
        apply_entries(call_id=call.pk, job_id="j", entries=[j.ended(), j.finalize()])
        late = [j.turn(1, SAID), j.tool_call(arguments=GIVEN, output=CANARY), j.message(**GIVEN), j.hand_over(summary=CANARY)]
        late.append({"op": "turn", "text": CANARY})
        apply_entries(call_id=call.pk, job_id="j", entries=late)

    stored(job.call_id, caller_tenant, end)
    assert tables() == set()


def test_the_stricter_policy_counts() -> None:
    tenant = {"storage-policy": {"keeps": NO_RECORDING}}
    assert policy_of({}, {}) == EVERYTHING
    assert policy_of({"kept": NO_CONTENT}, tenant) == NO_CONTENT
    assert policy_of({"kept": EVERYTHING}, tenant) == NO_RECORDING


def test_the_storage_is_the_tests_own(spool: Path) -> None:
    assert str(django_settings.VP_FILES) in str(storages["recordings"].location)
