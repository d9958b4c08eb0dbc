"""The database goes away in mid-call: the conversation goes on, and afterwards everything is there, once and in order."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.db import connection

from calls.models import Call
from tenants.models import Tenant, UsageRecord
from voice_worker.database import in_database
from voice_worker.entrypoint import Job
from voice_worker.journal_file import NAME
from voice_worker.providers.constant import Rule
from voice_worker.tests.calling import make_job, stages, stored, talk
from voice_worker.tests.failing import Proxy

OUTAGE_S = 20.0
ANSWERS_S = 6.0
ASKS, SAYS = [f"Is question {number} allowed?" for number in range(12)], "Certainly."
GIVEN = {"caller_name": "Maria Lopez", "phone": "512 555 0143", "reason": "insurance"}
MESSAGE = "This is Maria Lopez, 512 555 0143, about my insurance."
APOLOGY = "I am sorry, I cannot go on."
HEARS = [*ASKS[:2], MESSAGE, *ASKS[2:]]
RULES = [Rule(hears="Maria", tool="take_message", arguments=GIVEN), Rule(hears="", say=SAYS)]


@pytest.fixture
def database(caller_tenant: Tenant, proxy: Proxy) -> Iterator[Proxy]:
    """From here on, new connections of this process go through the proxy, each on its own as in a worker."""
    target = connection.get_connection_params() | {"host": "127.0.0.1", "port": proxy.port}
    options = {name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "pool"}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("host", "port"):
            patch.setitem(connection.settings_dict, name.upper(), target[name])
            options.pop(name, None)
        patch.setitem(connection.settings_dict, "OPTIONS", options)
        yield proxy


async def found(job: Job, tenant: Tenant, read: Any) -> Any:
    return await in_database(partial(stored, job.call_id, tenant, read))


def texts(call: Call) -> list[str]:
    return list(call.turns.order_by("sequence").values_list("text", flat=True))


async def ask_for_a_while(line: Any, seconds: float) -> int:
    """How many questions were asked, each of them answered as usual."""
    loop, asked = asyncio.get_running_loop(), 0
    until = loop.time() + seconds
    while loop.time() < until:
        await line.say()
        await line.reply(timeout_s=ANSWERS_S)
        asked += 1
    return asked


async def test_a_conversation_outlasts_the_database(caller_tenant: Tenant, database: Proxy) -> None:
    job = await in_database(partial(make_job, caller_tenant, apology=APOLOGY))
    async with talk(job, build=stages(hears=HEARS, rules=RULES)) as (line, _):
        await line.reply()
        await line.ask()
        database.cut()
        asked = await ask_for_a_while(line, OUTAGE_S)
        database.mend()
        assert asked >= 3
        before = await found(job, caller_tenant, texts)
        await line.ask()
        await asyncio.sleep(2.5)
        after = await found(job, caller_tenant, texts)
        assert len(after) >= len(before) + 2 * asked
    call = await found(job, caller_tenant, whole)
    assert (call["disposition"], call["reason"], call["finalized"]) == ("completed", "caller_hung_up", 1)
    assert [text for text in call["turns"] if text in HEARS] == HEARS[: asked + 2]
    assert call["speakers"] == ["agent", *["caller", "agent"] * (asked + 2)]
    assert call["messages"] == [("Maria Lopez", "512 555 0143")]
    # The spaces between sentences are not spoken.
    spoken = sum(map(len, [APOLOGY, *call["turns"][::2]]))
    assert float(call["used"]["tts", "character"]) == pytest.approx(spoken, abs=3)
    assert {kind for kind, _ in call["used"]} == {"stt", "llm", "tts"}
    assert call["recorded_ms"] > OUTAGE_S * 1000
    assert not (job.folder / NAME).exists()


def whole(call: Call) -> dict[str, Any]:
    used = UsageRecord.objects.filter(subject_id=call.pk)
    return {
        "disposition": call.disposition,
        "reason": call.ended_reason,
        "finalized": call.events.filter(kind="finalized").count() if call.finalized_at else 0,
        "turns": texts(call),
        "speakers": list(call.turns.order_by("sequence").values_list("speaker", flat=True)),
        "messages": list(call.messages.values_list("caller_name", "phone")),
        "used": {(row.kind, row.unit): row.quantity for row in used},
        "recorded_ms": sum(recording.duration_ms or 0 for recording in call.recordings.all()),
    }
