"""What the tests hold in their hands: the carrier's process, the server's API, and a participant that speaks and listens."""

import asyncio
import inspect
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
from google.protobuf.duration_pb2 import Duration
from livekit import api, rtc

from voice_worker.audio import RATE
from voice_worker.simulation.carrier import control, sounds
from voice_worker.simulation.carrier.log import Entry, legs_of, read_log
from voice_worker.tests.failing import Proxy
from voiceplatform.embedded.environment import PROJECT
from voiceplatform.embedded.supervisor import Supervisor

OURS = "+12025550000"


async def until(condition: Callable[[], Any], *, seconds: float = 10) -> Any:
    """What `condition` gives, or what it gives to be awaited, once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := await told(condition())):
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)
    return found


async def told(given: Any) -> Any:
    return await given if inspect.isawaitable(given) else given


class Carrier:
    """`manage.py run_simulated_carrier` in a process of its own."""

    def __init__(self, server: Supervisor, *, book: dict[str, Any], speech_url: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="carrier-"))
        self.log_path, self._book, self._output = self.folder / "log.jsonl", self.folder / "book.json", self.folder / "output"
        self._book.write_text(json.dumps(book))
        self._server, self._speech_url = server, speech_url
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        made = {**self._server.exports, "DATABASE_URL": "postgres://nobody:x@127.0.0.1:1/none", "VP_SPEECH_URL": self._speech_url}
        env = {**os.environ, **made, "DJANGO_SETTINGS_MODULE": "voiceplatform.settings.worker"}
        command = [sys.executable, "manage.py", "run_simulated_carrier", "--book", str(self._book), "--log", str(self.log_path)]
        with self._output.open("ab") as output:
            process = subprocess.Popen(command, env=env, cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT)
        said = self._output.read_text().count("takes calls")
        deadline = time.monotonic() + 60
        while self._output.read_text().count("takes calls") == said:
            assert process.poll() is None, self._output.read_text()
            assert time.monotonic() < deadline, "the carrier does not start"
            time.sleep(0.05)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(timeout=20) == 0, self._output.read_text()
        shutil.rmtree(self.folder)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def start_again(self) -> None:
        self.process = self._start()

    def legs(self) -> dict[str, list[Entry]]:
        return legs_of(read_log(self.log_path))

    def leg(self, *, to: str = "", room: str = "") -> list[Entry]:
        """The lines of the latest leg to a number, or in a room."""
        found = [
            lines for lines in self.legs().values() if any(to == line.get("to") or room == line.get("room") for line in lines)
        ]
        return found[-1] if found else []

    def events(self, **which: str) -> list[str]:
        return [line["event"] for line in self.leg(**which)]

    async def do(self, action: str, *, within_s: float = 60, **arguments: Any) -> Any:
        return await control.request(self._server.exports["REDIS_URL"], action, timeout_s=within_s, **arguments)


class Gate(Proxy):
    """A way to the LiveKit server on which a dial waits until it is let through; one whose sender has gone is dropped."""

    def __init__(self, server: Supervisor) -> None:
        parts = urlsplit(server.exports["LIVEKIT_URL"])
        self.held, self.dropped, self._open = threading.Event(), threading.Event(), threading.Event()
        super().__init__((str(parts.hostname), int(parts.port or 0)))
        self.url = f"ws://127.0.0.1:{self.port}"

    def let_through(self) -> None:
        self._open.set()

    def _admits(self, near: socket.socket) -> bool:
        request, _, _ = near.recv(4096, socket.MSG_PEEK).partition(b"\r\n")
        if b"CreateSIPParticipant" not in request:
            return True
        self.held.set()
        gone = select.poll()
        gone.register(near, select.POLLRDHUP)
        while not gone.poll(0):
            if self._open.wait(0.02):
                return True
        self.dropped.set()
        return False


class Person:
    """A participant that plays a token, hears tokens and digits, and sees what happens to a phone in its room."""

    def __init__(self) -> None:
        self.room, self.tokens, self.digits = rtc.Room(), list[int](), list[str]()
        self.statuses: list[str] = []
        self.left: dict[str, int] = {}
        self._source = rtc.AudioSource(RATE, 1)
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("track_subscribed", lambda track, *_: self._tasks.append(asyncio.create_task(self._hear(track))))
        self.room.on("participant_attributes_changed", lambda changed, _: self._note(changed))
        self.room.on("participant_connected", lambda who: self._note(who.attributes))
        self.room.on("participant_disconnected", lambda who: self.left.update({who.identity: who.disconnect_reason}))
        self.room.on("sip_dtmf_received", lambda packet: self.digits.append(packet.digit))

    def phone(self) -> rtc.RemoteParticipant:
        return next(who for who in self.room.remote_participants.values() if who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP)

    async def publish(self, *, token: int | None = None) -> None:
        track = rtc.LocalAudioTrack.create_audio_track("person", self._source)
        await self.room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
        if token is not None:
            self._tasks.append(asyncio.create_task(self._play(token)))

    async def say(self, text: str) -> None:
        pcm = sounds.murmur(text)
        await self._source.capture_frame(rtc.AudioFrame(pcm.tobytes(), RATE, 1, len(pcm)))

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()
        await self._source.aclose()

    def _note(self, attributes: dict[str, str]) -> None:
        if status := attributes.get("sip.callStatus"):
            self.statuses.append(status)

    async def _play(self, token: int) -> None:
        pcm = sounds.token_tone(token, seconds=0.1)
        while True:
            await self._source.capture_frame(rtc.AudioFrame(pcm.tobytes(), RATE, 1, len(pcm)))

    async def _hear(self, track: rtc.Track) -> None:
        ear = sounds.TokenEar(self.tokens.append)
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            ear.push(np.frombuffer(event.frame.data, dtype=np.int16))


class Phones:
    """Dials through one outbound trunk; every room and trunk is gone afterwards."""

    def __init__(self, lk: api.LiveKitAPI, server: Supervisor) -> None:
        self._lk, self._server = lk, server
        self.rooms: list[str] = []

    async def open(self) -> None:
        trunk = api.SIPOutboundTrunkInfo(name="out", address="sip.example.com", numbers=[OURS])
        made = await self._lk.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=trunk))
        self.trunk = made.sip_trunk_id

    async def close(self) -> None:
        for room in self.rooms:
            with suppress(api.TwirpError):  # most are gone already
                await self._lk.room.delete_room(api.DeleteRoomRequest(room=room))
        await self._lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=self.trunk))

    def new_room(self) -> str:
        self.rooms.append(f"t-{uuid.uuid4().hex[:8]}")
        return self.rooms[-1]

    async def dial(self, number: str, *, room: str = "", ring_s: int = 0, wait: bool = True, **more: Any) -> Any:
        request = api.CreateSIPParticipantRequest(
            sip_trunk_id=self.trunk,
            sip_call_to=number,
            room_name=room or self.new_room(),
            participant_identity="phone",
            wait_until_answered=wait,
            **({"ringing_timeout": Duration(seconds=ring_s)} if ring_s else {}),
            **more,
        )
        return await self._lk.sip.create_sip_participant(request, timeout=30)

    async def refused(self, number: str, **options: Any) -> api.TwirpError:
        try:
            await self.dial(number, **options)
        except api.TwirpError as error:
            return error
        raise AssertionError(f"{number} was answered")

    @asynccontextmanager
    async def person(self, room: str) -> AsyncIterator[Person]:
        made, person = self._server.exports, Person()
        token = api.AccessToken(made["LIVEKIT_API_KEY"], made["LIVEKIT_API_SECRET"]).with_identity("person")
        token = token.with_grants(api.VideoGrants(room_join=True, room=room))
        await person.room.connect(made["LIVEKIT_URL"], token.to_jwt())
        try:
            yield person
        finally:
            await person.leave()
