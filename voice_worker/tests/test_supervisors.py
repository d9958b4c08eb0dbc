"""Members of the staff in a room, as its job sees them: each admission lets one in, and who falls silent for good is lost."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from livekit import api, rtc
from livekit.agents import stt
from livekit.plugins import silero
from livekit.rtc._proto.stats_pb2 import RtcStats

from benchmarks.sounds import voice_like
from calls.telephony.names import supervisor_identity
from voice_worker import supervisors
from voice_worker.audio import FRAME, FRAME_S, RATE, CallClock, Int16Array
from voice_worker.overhearing import Words
from voice_worker.providers.constant import ConstantSTT
from voice_worker.supervisors import RoomSupervisors
from voice_worker.tests.sounds import silence

BOSS = supervisor_identity(UUID(int=1))


class Microphone:
    """Counts what has arrived as the SDK does: `step` packets more at each look."""

    def __init__(self) -> None:
        self.step, self._arrived = 25, 0

    async def get_stats(self) -> list[RtcStats]:
        self._arrived += self.step
        stats = RtcStats()
        stats.inbound_rtp.received.packets_received = self._arrived
        return [stats]


class Room(rtc.EventEmitter[str]):
    """A room of the SDK's, and the server's requests about it."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.room, self.job, self.api = "in_1_x", self, SimpleNamespace(room=self), SimpleNamespace(room=self)
        self.remote_participants: dict[str, Any] = {}
        self.sent_away: list[str] = []
        self.microphone = Microphone()
        self.staff: Any = None
        self.said: list[Words] = []
        self.understood = asyncio.Event()

    def isconnected(self) -> bool:
        return bool(self.remote_participants)

    async def remove_participant(self, who: api.RoomParticipantIdentity) -> None:
        self.sent_away.append(who.identity)

    def comes(self, sid: str) -> Any:
        track = SimpleNamespace(track=self.microphone, muted=False, kind=rtc.TrackKind.KIND_AUDIO)
        who = SimpleNamespace(identity=BOSS, sid=sid, track_publications={"TR_1": track})
        self.remote_participants[BOSS] = who
        self.emit("participant_connected", who)
        return who

    def says(self, words: Words) -> None:
        self.said.append(words)
        self.understood.set()

    def goes(self, who: Any) -> None:
        self.remote_participants.pop(BOSS, None)
        self.emit("participant_disconnected", who)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisors, "_LOOK_S", 0.02)
    monkeypatch.setattr(supervisors, "SILENT_S", 0.2)


@pytest.fixture
def told() -> list[str]:
    return []


class Sound:
    """A stream of the SDK's that says one sentence and is then quiet."""

    async def __aiter__(self) -> AsyncIterator[SimpleNamespace]:
        sound = np.concatenate([voice_like(1.0), silence(2.0)])
        for begin in range(0, len(sound), FRAME):
            await asyncio.sleep(FRAME_S)
            yield SimpleNamespace(frame=rtc.AudioFrame(sound[begin : begin + FRAME].tobytes(), RATE, 1, FRAME))
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        """Nothing is held."""


@pytest.fixture
async def room(quick: None, told: list[str]) -> AsyncIterator[Room]:
    made: Any = Room()
    given: Any = {"clock": CallClock(), "microphone": lambda _: Sound()}
    staff = RoomSupervisors(made, append=lambda entry: told.append(str(entry["participant_sid"])), **given)
    made.staff = staff
    hearing = stt.StreamAdapter(stt=ConstantSTT(["We close at five."]), vad=silero.VAD.load())
    staff.listen(
        joined=lambda _: told.append("joined"),
        left=lambda _: told.append("left"),
        said=made.says,
        hearing=lambda: hearing,
    )
    yield made
    made.remote_participants.clear()
    await staff.aclose()


async def test_a_second_one_with_the_same_admission_is_sent_away(room: Room, told: list[str]) -> None:
    first = room.comes("PA_1")
    second = room.comes("PA_2")
    await asyncio.sleep(0.1)
    assert (told, room.sent_away) == (["PA_1", "joined"], [BOSS])
    room.goes(second)
    assert told == ["PA_1", "joined"]
    room.goes(first)
    assert told == ["PA_1", "joined", "PA_1", "left"]


async def test_from_whom_nothing_arrives_any_more_is_lost_until_something_does(room: Room, told: list[str]) -> None:
    room.comes("PA_1")
    await asyncio.sleep(0.5)
    assert told == ["PA_1", "joined"]
    room.microphone.step = 0
    await asyncio.sleep(0.6)
    assert told == ["PA_1", "joined", "left"]
    room.microphone.step = 25
    await asyncio.sleep(0.3)
    assert told == ["PA_1", "joined", "left", "joined"]


async def test_who_has_muted_the_microphone_is_there(room: Room, told: list[str]) -> None:
    room.comes("PA_1").track_publications["TR_1"].muted = True
    room.microphone.step = 0
    await asyncio.sleep(0.6)
    assert told == ["PA_1", "joined"]


class Tape:
    """A tap that keeps what is heard of the agent's side."""

    def __init__(self) -> None:
        self.agent_s = 0.0

    def caller_frame(self, pcm: Int16Array, at: float) -> None:
        raise AssertionError("they speak in the agent's place")

    def agent_frame(self, pcm: Int16Array, at: float) -> None:
        self.agent_s += len(pcm) / RATE


async def test_what_they_say_is_heard_and_understood(room: Room) -> None:
    room.staff.add_tap(tape := Tape())
    room.comes("PA_1")
    await asyncio.wait_for(room.understood.wait(), 20)
    assert tape.agent_s > 1
    [words] = room.said
    assert words.text == "We close at five."
    assert 0.4 < words.ended_at - words.started_at < 1.8, "it was said in a second"
