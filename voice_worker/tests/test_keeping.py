"""What is recorded and written down of a call, and what is not: consent and pauses."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings

from calls.models import Call, Recording
from calls.services import finalize_call
from calls.services.recordings import was_to_be_recorded
from tenants.models import Tenant
from voice_worker.consent import judge, withdraws
from voice_worker.entrypoint import Job
from voice_worker.keeping import MARK
from voice_worker.providers.constant import Rule
from voice_worker.tests.calling import make_job, stages, stored, talk
from voice_worker.tests.test_recording import decode

PAUSES = {"pause_recording": {}, "resume_recording": {}, "take_message": {}}
CARD = "It is 4000 0000 0000 0001 secretword."
PAYS = (
    Rule(hears="pay", tool="pause_recording"),
    Rule(hears="secretword", tool="take_message", arguments={"caller_name": "secretword", "phone": "1", "reason": "x"}),
    Rule(hears="done", say="Thank you.", tool="resume_recording"),
    Rule(hears="", say="We open at nine."),
)


def spooled(job: Job) -> Path:
    return Path(django_settings.VP_SPOOL) / str(job.call_id) / "recording.ogg"


def spooled_text() -> bytes:
    files = (path for path in Path(django_settings.VP_SPOOL).rglob("*") if path.is_file() and path.suffix != ".ogg")
    return b"".join(path.read_bytes() for path in files)


def loud_at(path: Path, channel: int) -> list[float]:
    """The tenths of a second in which somebody is heard."""
    track = decode(path)[channel]
    blocks = track[: len(track) // 4800 * 4800].reshape(-1, 4800)
    return [index / 10 for index, block in enumerate(blocks) if float(np.abs(block).max()) > 0.02]


def events(call: Call) -> dict[str, Any]:
    return {event.kind: event.data for event in call.events.filter(kind__startswith="recording_")}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Yes.", "yes"),
        ("Sure, go ahead.", "yes"),
        ("No problem.", "yes"),
        ("I don’t mind.", "yes"),
        ("Ja, gerne.", "yes"),
        ("No.", "no"),
        ("I would rather not.", "no"),
        ("Yes, but please don't record it.", "no"),
        ("That is not okay.", "no"),
        ("I don't agree.", "no"),
        ("Nein, bitte nicht.", "no"),
        ("What time do you open?", "unclear"),
        ("No, yes.", "unclear"),
        ("", "unclear"),
    ],
)
def test_only_a_clear_answer_is_one(text: str, answer: str) -> None:
    assert judge(text) == answer


def test_what_ends_a_consent() -> None:
    assert withdraws("Please stop recording now.")
    assert withdraws("Bitte nicht aufzeichnen.")
    assert not withdraws("You may record that.")
    assert not withdraws("No, on Monday.")


async def hold(tenant: Tenant, *hears: str, **recording: Any) -> Job:
    job = await sync_to_async(make_job)(tenant, recording={"mode": "after_consent", "consent_question": "Recorded?", **recording})
    async with talk(job, build=stages(hears=hears, rules=[Rule(hears="", say="We open at nine.")])) as (line, _):
        await line.replied(2)
        for count, _text in enumerate(hears):
            await asyncio.sleep(0.3)
            await line.say()
            await line.replied(3 + count)
    return job


async def test_the_recording_begins_with_the_yes(caller_tenant: Tenant) -> None:
    job = await hold(caller_tenant, "Yes, sure.", "What time do you open?")
    read = sync_to_async(stored)
    told = await read(job.call_id, caller_tenant, events)
    assert (told["recording_consent"]["answer"], told["recording_consent"]["turn"]) == ("yes", 3)
    turns = await read(job.call_id, caller_tenant, lambda call: list(call.turns.values_list("text", "started_ms")))
    assert [text for text, _ in turns[:3]] == ["Hello there.", "Recorded?", "Yes, sure."]
    caller, agent = loud_at(spooled(job), 0), loud_at(spooled(job), 1)
    began = told["recording_consent"]["at_ms"] / 1000
    assert min(caller) >= began - 0.15
    assert min(agent) >= began - 0.15
    # The file's seconds are the call's.
    assert min(caller) == pytest.approx(turns[4][1] / 1000, abs=0.5)


@pytest.mark.parametrize(("answers", "noted"), [(["No thanks."], "no"), (["What time do you open?", "And on Sunday?"], "none")])
async def test_without_a_yes_nothing_is_recorded(caller_tenant: Tenant, answers: list[str], noted: str) -> None:
    job = await hold(caller_tenant, *answers)
    assert not spooled(job).exists()

    def check(call: Call) -> None:
        finalize_call(call_id=call.pk)
        assert events(call)["recording_consent"]["answer"] == noted
        assert not Recording.objects.exists()
        assert not was_to_be_recorded(call)

    await sync_to_async(stored)(job.call_id, caller_tenant, check)


async def test_a_consent_can_be_withdrawn(caller_tenant: Tenant) -> None:
    job = await hold(caller_tenant, "Yes.", "Please stop recording.", "What time do you open?")
    turns = await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: list(call.turns.values_list("text", "ended_ms")))
    stopped = next(ended for text, ended in turns if text == "Please stop recording.") / 1000
    heard = loud_at(spooled(job), 0) + loud_at(spooled(job), 1)
    assert stopped - 1.5 < max(heard) <= stopped + 0.8


async def test_off_records_nothing_and_asks_nothing(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant, recording={"mode": "off", "consent_question": "Recorded?"})
    async with talk(job) as (line, _):
        await line.reply()
        await line.ask()
    assert not spooled(job).exists()
    turns = await sync_to_async(stored)(job.call_id, caller_tenant, lambda call: list(call.turns.values_list("text", flat=True)))
    assert "Recorded?" not in turns


async def test_what_is_said_in_a_pause_is_kept_nowhere(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant, tools=PAUSES)
    hears = ["I want to pay by card.", CARD, "I am done."]
    async with talk(job, build=stages(hears=hears, rules=PAYS)) as (line, _):
        await line.reply()
        await line.say()
        await asyncio.sleep(1.5)
        for count in (2, 3):
            await line.say(1.5)
            await line.replied(count)
        await asyncio.sleep(0.5)

    def check(call: Call) -> list[tuple[str, str, bool]]:
        assert not call.messages.exists()
        told = events(call)
        begin, end = told["recording_paused"]["at_ms"] / 1000, told["recording_resumed"]["at_ms"] / 1000
        heard = loud_at(spooled(job), 0) + loud_at(spooled(job), 1)
        assert not [at for at in heard if begin + 0.1 < at < end - 0.1]
        assert max(heard) > end
        refused = call.tool_calls.get(key="take_message")
        assert (refused.status, refused.arguments, refused.output) == ("refused", {}, "")
        return list(call.turns.values_list("speaker", "text", "redacted"))

    turns = await sync_to_async(stored)(job.call_id, caller_tenant, check)
    assert turns[1] == ("caller", "I want to pay by card.", False)
    assert ("caller", MARK, True) in turns
    assert turns[-1] == ("agent", "Thank you.", False)
    assert "secretword" not in str(turns)
    assert b"secretword" not in spooled_text()


async def test_a_pause_ends_by_itself(caller_tenant: Tenant) -> None:
    from agents.pipeline import Recording as Settings
    from voice_worker.audio import CallClock
    from voice_worker.keeping import Keeping

    told: list[Any] = []
    keeping = Keeping(clock=CallClock(), append=told.append, settings=Settings.model_construct(mode="on", pause_at_most_s=0.05))
    keeping.pause()
    keeping.pause()
    await asyncio.sleep(0.15)
    assert not keeping.is_paused
    assert [(entry["kind"], entry["data"].get("by")) for entry in told] == [
        ("recording_paused", None),
        ("recording_resumed", "time"),
    ]


def test_settings_of_before_are_read(tenant: Tenant, spool: Path) -> None:
    from agents.pipeline import VersionSettings

    assert VersionSettings.model_validate({"record": False}).recording.mode == "off"
    assert VersionSettings.model_validate({"record": True}).recording.mode == "on"
