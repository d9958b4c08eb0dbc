"""Handing a call over from within it: who has the floor, what is said, and what the call comes to."""

import asyncio
from typing import Any

import numpy as np
import pytest
from asgiref.sync import sync_to_async
from livekit import rtc

from agents.transfers import Target
from tenants.models import Tenant
from voice_worker import outcome
from voice_worker.audio import RATE, CallClock, Taps
from voice_worker.entrypoint import Job
from voice_worker.providers.constant import Rule
from voice_worker.room_tracks import RoomInput
from voice_worker.tests.calling import OPENS, make_job, stages, stored, talk
from voice_worker.tests.colleagues import Line as Colleagues
from voice_worker.tests.steering import Kind, act, as_phone_call
from voice_worker.tools import builder
from voice_worker.tools.base import Result

WANTS = [Rule(hears="person", tool="press_digits", arguments={"digits": "1"}), OPENS]
HEARS = ["A person, please.", "What time do you open?"]
HOLDS = "One moment please, I am getting somebody for you."
BACK = "I am sorry, nobody can take your call right now."


@pytest.fixture(autouse=True)
def tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that hands the call over to +11, and tells what came of it."""

    async def use(_values: Any, use: Any) -> Result:
        targets = [Target(id="1", name="Ann", phone="+11")]
        done = await use.desk._talk.hand_over(targets=targets, reason="A refund", summary="They waited.")
        say = " ".join(["Tried:", *(each.outcome for each in done.tried)])
        return Result(status="ok", output={"ok": True, "say": say}, reply=done.joined is None)

    monkeypatch.setitem(builder.IMPLEMENTATIONS, "press_digits", use)  # type: ignore[arg-type]


async def made(tenant: Tenant) -> Job:
    return await sync_to_async(make_job)(tenant, tools={"press_digits": {}})


async def facts(job: Job, tenant: Tenant) -> tuple[str, list[str], list[str]]:
    """The call's status, its steps on the way to somebody, and what the agent has said."""

    def read(call: Any) -> tuple[str, list[str], list[str]]:
        steps = call.events.filter(kind__startswith="transfer_").order_by("at").values_list("kind", flat=True)
        said = call.turns.filter(speaker="agent").values_list("text", flat=True)
        return call.status, [kind.removeprefix("transfer_") for kind in steps], list(said)

    return await sync_to_async(stored)(job.call_id, tenant, read)


async def test_a_call_that_is_handed_over_goes_on_without_its_job(caller_tenant: Tenant) -> None:
    job, closed = await made(caller_tenant), asyncio.Event()

    async def over() -> None:
        closed.set()

    async with talk(job, build=stages(hears=HEARS, rules=WANTS), over=over) as (line, run):
        line.colleagues = colleagues = Colleagues(p1={"key": "1"})
        await as_phone_call(caller_tenant, job)
        await line.say()
        assert await asyncio.wait_for(run, 30) == outcome.HANDED_OVER
    status, steps, said = await facts(job, caller_tenant)
    assert (status, closed.is_set(), colleagues.joined) == ("handed_over", False, ["target-1"])
    assert steps == ["holding", "dialing", "answered", "briefed", "confirmed", "joined"]
    assert said[-1] == HOLDS
    assert colleagues.holds == ["detached", "plays"]


async def test_the_agent_goes_on_with_a_caller_whom_nobody_took(caller_tenant: Tenant) -> None:
    job = await made(caller_tenant)
    async with talk(job, build=stages(hears=HEARS, rules=WANTS)) as (line, _):
        line.colleagues = colleagues = Colleagues(p1={"key": "2"})
        await line.reply()
        await line.say()
        await line.replied(4, timeout_s=30)
        await line.ask()
    _, steps, said = await facts(job, caller_tenant)
    assert said[1:] == [HOLDS, BACK, "Tried: declined", "We open at nine."]
    assert steps == ["holding", "dialing", "answered", "briefed", "failed"]
    assert colleagues.holds == ["detached", "plays", "attached"]


async def test_a_caller_who_is_held_is_not_spoken_to_and_may_leave(caller_tenant: Tenant) -> None:
    job = await made(caller_tenant)
    async with talk(job, build=stages(hears=HEARS, rules=WANTS)) as (line, run):
        line.colleagues = colleagues = Colleagues(p1=None)
        await as_phone_call(caller_tenant, job)
        await line.say()
        async with asyncio.timeout(30):
            await colleagues.plays.wait()
        assert await act(caller_tenant, job, Kind.SAY, text="Hello.") == ("failed", "agent_muted")
        line.leave()
        assert await asyncio.wait_for(run, 15) == outcome.CALLER_HUNG_UP
    assert colleagues.dismissed == [("target-1", "given_up")]
    status, steps, _ = await facts(job, caller_tenant)
    assert (status, steps[:2]) == ("ended", ["holding", "dialing"])


async def test_nobody_is_called_where_there_is_no_phone(caller_tenant: Tenant) -> None:
    job = await made(caller_tenant)
    async with talk(job, build=stages(hears=HEARS, rules=WANTS)) as (line, _):
        await line.reply()
        await line.ask()
    _, steps, said = await facts(job, caller_tenant)
    assert (steps, said[1:]) == ([], ["Tried: failed"])


async def test_a_deaf_session_hears_silence_and_the_recorder_what_was_said() -> None:
    class Stream:
        async def __anext__(self) -> rtc.AudioFrameEvent:
            return rtc.AudioFrameEvent(rtc.AudioFrame(np.full(480, 900, dtype=np.int16).tobytes(), RATE, 1, 480))

    class Recorder:
        def caller_frame(self, pcm: Any, at: float) -> None:
            heard.append(int(pcm.max()))

        def agent_frame(self, pcm: Any, at: float) -> None: ...

    heard, taps = list[int](), Taps()
    taps.add(Recorder())
    hears = RoomInput(Stream(), clock=CallClock(), taps=taps)  # type: ignore[arg-type]
    assert max((await hears.__anext__()).data) == 900
    hears.is_deaf = True
    deaf = await hears.__anext__()
    assert (max(deaf.data), len(deaf.data), heard) == (0, 480, [900, 900])
