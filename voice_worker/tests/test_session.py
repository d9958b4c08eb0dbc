"""Conversations through the real voice detector, with constant words and tones."""

from uuid import UUID

from asgiref.sync import sync_to_async

from calls.models import Call
from tenants.models import Tenant, UsageRecord
from tenants.scope import tenant_scope
from voice_worker.outcome import END_CALL
from voice_worker.tests.calling import make_job, stages, talk


async def test_a_conversation_is_written_down(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    hears = ["What time do you open?", "Thanks, bye."]
    async with talk(job, build=stages(hears=hears)) as (line, running):
        await line.reply()
        await line.ask()
        await line.say()
        outcome = await running
    assert outcome == END_CALL
    await sync_to_async(check_rows)(job.call_id, caller_tenant)


def check_rows(call_id: UUID, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        call = Call.objects.get(pk=call_id)
        assert (call.status, call.disposition, call.ended_reason) == ("ended", "completed", "end_call")
        assert call.finalized_at > call.answered_at
        turns = list(call.turns.values_list("speaker", "source", "text"))
        assert turns == [
            ("agent", "greeting", "Hello there."),
            ("caller", "speech", "What time do you open?"),
            ("agent", "reply", "We open at nine."),
            ("caller", "speech", "Thanks, bye."),
            ("agent", "reply", "Goodbye!"),
        ]
        reply = call.turns.get(sequence=3)
        assert {"llm_ttft", "tts_ttfb", "e2e_latency", "response_gap"} <= set(reply.metrics)
        assert call.turns.get(sequence=2).metrics["end_of_turn_delay"] >= 300
        assert {row.kind for row in UsageRecord.objects.all() if row.quantity > 0} == {"stt", "llm", "tts"}
        recording = call.recordings.get()
        assert (recording.state, recording.duration_ms > 3000) == ("spooled", True)
