"""The browser of a web call as its job sees it: it leaves, is cut off, comes back, and goes on in another tab."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from livekit import rtc

from calls.telephony.names import BROWSER
from voice_worker import browser_ends
from voice_worker.audio import RATE, CallClock
from voice_worker.browser_ends import BrowserEnds
from voice_worker.entrypoint import Job
from voice_worker.outcome import LEFT_BEFORE, CallOverError
from voice_worker.room_tracks import AgentTrack

Why = rtc.DisconnectReason
CUT_OFF, LEFT, TAKEN_OVER = Why.SIGNAL_CLOSE, Why.CLIENT_INITIATED, Why.DUPLICATE_IDENTITY


class Stream:
    """A microphone that says one level, without end."""

    def __init__(self, level: int) -> None:
        self._frame = rtc.AudioFrame(level.to_bytes(2, "little") * 480, RATE, 1, 480)
        self.is_closed = False

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> rtc.AudioFrameEvent:
        await asyncio.sleep(0.005)
        return rtc.AudioFrameEvent(self._frame)

    async def aclose(self) -> None:
        self.is_closed = True


class Room(rtc.EventEmitter[str]):
    """A room of the SDK's; who comes in with an identity that is there takes its place, as on the server."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.room, self.job = "web_x", self, SimpleNamespace(room=self)
        self.remote_participants: dict[str, Any] = {}
        self.streams: list[Stream] = []
        self._came = asyncio.Event()

    def comes(self, level: int, *, identity: str = BROWSER) -> Any:
        sid, there = f"PA_{identity}_{level}", self.remote_participants.get(identity)
        kind = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
        who = SimpleNamespace(identity=identity, sid=sid, kind=kind, attributes={}, disconnect_reason=None, level=level)
        self.remote_participants[identity] = who
        if identity == BROWSER:
            self._came.set()
        self.emit("participant_connected", who)
        if there:
            there.disconnect_reason = TAKEN_OVER
            self.emit("participant_disconnected", there)
        return who

    def goes(self, who: Any, reason: int) -> None:
        who.disconnect_reason = reason
        self.remote_participants.pop(who.identity)
        self.emit("participant_disconnected", who)

    def hears(self, *, participant: Any, **_: Any) -> Stream:
        self.streams.append(Stream(participant.level))
        return self.streams[-1]

    async def wait_for_participant(self, *, identity: str) -> Any:
        await self._came.wait()
        return self.remote_participants[identity]


class Call:
    def __init__(self, room: Any) -> None:
        self.room, self.told = room, list[str]()
        self.browser = room.comes(1000)
        job = Job(call_id=UUID(int=1), job_id="AJ_1", host_id=UUID(int=2))
        track = AgentTrack(room)
        self.ends = BrowserEnds(room, self.browser, track=track, clock=CallClock(), append=self._append, job=job)

    def _append(self, entry: Any) -> None:
        self.told.append(entry.get("kind") or entry["end_reason"])

    async def level(self) -> int:
        """Of what is heard now."""
        async with asyncio.timeout(5):
            for _ in range(20):
                frame = await self.ends.audio_input.__anext__()
        return int(frame.data[0])


@pytest.fixture
async def call(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Call]:
    monkeypatch.setattr(browser_ends, "RETURNS_S", 0.4)
    room = Room()
    monkeypatch.setattr(rtc.AudioStream, "from_participant", room.hears)
    made = Call(room)
    yield made
    await made.ends.aclose()


async def test_who_leaves_or_loads_the_page_anew_has_ended_the_call(call: Call) -> None:
    call.room.goes(call.browser, LEFT)
    assert (call.ends.left.is_set(), call.ends.left_reason) == (True, "hung_up")
    call.room.comes(2000)
    assert call.told == ["hung_up"]
    assert len(call.room.streams) == 1


async def test_who_is_cut_off_is_waited_for_a_while(call: Call) -> None:
    call.room.goes(call.browser, CUT_OFF)
    await asyncio.sleep(0.1)
    assert not call.ends.left.is_set()
    async with asyncio.timeout(2):
        await call.ends.left.wait()
    assert (call.ends.left_reason, call.told) == ("connection_lost", ["connection_lost"])


async def test_who_comes_back_in_time_goes_on_and_is_heard(call: Call) -> None:
    assert await call.level() == 1000
    call.room.goes(call.browser, CUT_OFF)
    again = call.room.comes(2000)
    await asyncio.sleep(0.6)
    assert (call.ends.left.is_set(), call.told) == (False, ["caller_rejoined"])
    assert await call.level() == 2000
    assert call.room.streams[0].is_closed
    call.room.goes(again, LEFT)
    assert call.ends.left_reason == "hung_up"


async def test_another_tab_takes_over_and_the_first_one_ends_nothing(call: Call) -> None:
    second = call.room.comes(2000)
    await asyncio.sleep(0.6)
    assert not call.ends.left.is_set()
    assert await call.level() == 2000
    call.room.goes(second, LEFT)
    assert call.told == ["caller_rejoined", "hung_up"]


async def test_a_wait_begun_once_is_not_begun_anew_and_ends_with_the_call(call: Call) -> None:
    call.room.goes(call.browser, CUT_OFF)
    await call.ends.aclose()
    await asyncio.sleep(0.6)
    assert not call.ends.left.is_set()


async def test_whoever_else_comes_and_goes_is_not_the_caller(call: Call) -> None:
    staff = call.room.comes(3000, identity="agent-2")
    call.room.goes(staff, LEFT)
    assert (call.ends.left.is_set(), call.told) == (False, [])
    assert await call.level() == 1000


async def test_a_browser_that_has_gone_before_the_agent_came_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_ends, "RETURNS_S", 0.1)
    room: Any = Room()
    room.comes(3000, identity="agent-2")
    with pytest.raises(CallOverError) as over:
        await browser_ends._caller(room)
    assert over.value.outcome == LEFT_BEFORE
