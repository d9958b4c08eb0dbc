"""Conversations through the real voice detector, with constant words and tones."""

import asyncio
from uuid import UUID

from asgiref.sync import sync_to_async

from calls.models import Call, Turn
from tenants.models import Tenant, UsageRecord
from tenants.scope import tenant_scope
from voice_worker.entrypoint import Job
from voice_worker.outcome import CALLER_HUNG_UP, END_CALL, MAX_DURATION, SILENCE
from voice_worker.providers.constant import ConstantSTT, Rule
from voice_worker.tests.calling import make_job, stages, stored, talk


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


async def turns_of(job: Job, tenant: Tenant) -> list[Turn]:
    return await sync_to_async(stored)(job.call_id, tenant, lambda call: list(call.turns.all()))


async def test_an_interrupted_reply_is_kept_as_it_was_heard(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    long = "We are open from nine to five on every weekday, and on Saturday from ten to two, but never on a Sunday."
    build = stages(hears=["When?", "Stop, something else."], rules=[Rule(hears="When", say=long), Rule(hears="", say="Yes?")])
    async with talk(job, build=build) as (line, _):
        await line.reply()
        await line.say()
        await asyncio.sleep(2.5)
        await line.say(1.2)
        await line.replied(3)
        await asyncio.sleep(2.0)
    turns = await turns_of(job, caller_tenant)
    cut = next(turn for turn in turns if turn.interrupted)
    assert long.startswith(cut.text)
    assert 5 < len(cut.text) < 80
    assert [turn.text for turn in turns if turn.sequence > cut.sequence] == ["Stop, something else.", "Yes?"]
    assert cut.metrics["stop"] < 1500


async def test_a_pause_inside_a_phone_number_is_waited_out(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    build = stages(hears=["My number is 512", "555 0143."], rules=[Rule(hears="", say="Thank you.")])
    async with talk(job, build=build) as (line, _):
        await line.reply()
        await line.say(1.0)
        await asyncio.sleep(1.0)
        await line.say(1.0)
        await line.replied(2)
    said = [turn.text for turn in await turns_of(job, caller_tenant) if turn.speaker == "caller"]
    assert said == ["My number is 512 555 0143."]


async def test_attention_does_not_stop_the_agent(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    build = stages(
        hears=["When?", "Mm-hmm."], rules=[Rule(hears="When", say="We are open from nine to five on every single weekday.")]
    )
    async with talk(job, build=build) as (line, _):
        await line.reply()
        await line.say()
        await asyncio.sleep(2.0)
        await line.ask(0.8)
    [reply] = [turn for turn in await turns_of(job, caller_tenant) if turn.source == "reply"]
    assert not reply.interrupted
    assert reply.text.endswith("weekday.")


async def test_a_silent_caller_is_asked_and_then_let_go(caller_tenant: Tenant) -> None:
    limits = {"silence_prompt_after_s": 3, "silence_prompts": 1, "silence_prompt": "Still there?"}
    job = await sync_to_async(make_job)(caller_tenant, limits=limits)
    async with talk(job) as (_, running):
        assert await asyncio.wait_for(running, 25) == SILENCE
    assert [(turn.source, turn.text) for turn in await turns_of(job, caller_tenant)] == [
        ("greeting", "Hello there."),
        ("warning", "Still there?"),
    ]


async def test_the_longest_call_is_warned_of_and_ended(caller_tenant: Tenant) -> None:
    limits = {"max_duration_s": 30, "duration_warning_s": 26, "silence_prompt_after_s": 60}
    job = await sync_to_async(make_job)(caller_tenant, limits=limits)
    async with talk(job) as (line, running):
        assert await asyncio.wait_for(running, 45) == MAX_DURATION
        assert line.hung_up
    turns = await turns_of(job, caller_tenant)
    assert turns[-1].text == "Please note that this call will end in 26 seconds."


async def test_the_agent_may_wait_for_the_caller_to_speak_first(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant, opening={"first_speaker": "caller", "greeting": ""})
    async with talk(job) as (line, _):
        await asyncio.sleep(1.0)
        assert line.audible_s == 0
        await line.ask()
    assert [turn.speaker for turn in await turns_of(job, caller_tenant)] == ["caller", "agent"]


async def test_the_agent_greets_a_caller_who_says_nothing(caller_tenant: Tenant) -> None:
    opening = {"first_speaker": "agent_after_silence", "greeting_delay_s": 1.0, "greeting": "Anybody?"}
    job = await sync_to_async(make_job)(caller_tenant, opening=opening)
    async with talk(job) as (line, _):
        await line.reply()
        assert line.replies[0] > 1.0
    assert [turn.text for turn in await turns_of(job, caller_tenant)] == ["Anybody?"]


async def test_a_caller_who_hangs_up_ends_the_call(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    async with talk(job) as (line, running):
        await line.reply()
        line.leave()
        assert await running == CALLER_HUNG_UP


async def test_other_scripts_are_kept_as_they_are(caller_tenant: Tenant) -> None:
    heard, answer = "你们星期六几点开门?", "Мы открыты с девяти. نحن مفتوحون 🎉"
    job = await sync_to_async(make_job)(caller_tenant, opening={"greeting": "こんにちは。"})
    async with talk(job, build=stages(hears=[heard], rules=[Rule(hears="", say=answer)])) as (line, _):
        await line.reply()
        await line.ask()
    texts = [turn.text for turn in await turns_of(job, caller_tenant)]
    assert texts == ["こんにちは。", heard, answer]


async def test_words_have_their_times_where_the_recogniser_tells_them(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant)
    build = stages(stt=ConstantSTT(["What time do you open?"], seconds_per_word=0.2))
    async with talk(job, build=build) as (line, _):
        await line.reply()
        ended = await line.say(1.0)
        await line.reply()
    turn = next(turn for turn in await turns_of(job, caller_tenant) if turn.speaker == "caller")
    assert [word for word, _, _ in turn.words] == ["What", "time", "do", "you", "open?"]
    began = turn.words[0][1]
    assert [began_ms - began for _, began_ms, _ in turn.words] == [0, 200, 400, 600, 800]
    assert abs(began - (ended - 1.0) * 1000) < 300
