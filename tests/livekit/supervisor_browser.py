"""What a supervisor's browser does, in a process that can be killed: joins, speaks or listens, tells what it hears."""

import asyncio
import json
import sys

import numpy as np
from livekit import rtc

from voice_worker.audio import RATE, Int16Array
from voice_worker.simulation.carrier import sounds

_HEARD_S = 3


def tell(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def hear(track: rtc.Track) -> None:
    ear = sounds.TokenEar(lambda token: tell(heard=token))
    async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
        ear.push(np.frombuffer(event.frame.data, dtype=np.int16))


async def play(source: rtc.AudioSource, pcm: Int16Array) -> None:
    for begin in range(0, len(pcm), RATE // 10):
        piece = pcm[begin : begin + RATE // 10]
        await source.capture_frame(rtc.AudioFrame(piece.tobytes(), RATE, 1, len(piece)))


async def speak(room: rtc.Room, token: int, text: str) -> None:
    """A tone all the time, after the murmured text, which waits until the others can hear it."""
    source = rtc.AudioSource(RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
    try:
        async with asyncio.timeout(5):
            await room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
    except (TimeoutError, rtc.room.ConnectError, Exception) as error:  # noqa: BLE001 - whatever refuses it is told
        tell(refused=type(error).__name__)
        return
    if text:
        for part in (np.zeros(_HEARD_S * RATE, dtype=np.int16), sounds.murmur(text), np.zeros(RATE, dtype=np.int16)):
            await play(source, part)
    while True:
        await play(source, sounds.token_tone(token, seconds=0.1))


async def main(url: str, token: str, says: int, murmurs: str) -> None:
    room, tasks = rtc.Room(), list[asyncio.Task[None]]()
    room.on("track_subscribed", lambda track, *_: tasks.append(asyncio.create_task(hear(track))))
    room.on("disconnected", lambda reason: tell(left=int(reason or 0)))
    try:
        await room.connect(url, token)
    except rtc.ConnectError as error:
        tell(error=str(error))
        return
    tell(sid=room.local_participant.sid, room=room.name, others=len(room.remote_participants))
    if says >= 0:
        tasks.append(asyncio.create_task(speak(room, says, murmurs)))
    await asyncio.sleep(120)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
