"""A sentence to somebody whom no agent answers, in the voice the account's agents have, else in the platform's own."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from django.conf import settings
from livekit import rtc
from livekit.agents import JobContext

from agents.pipeline import Speaking, VersionSettings
from voice_worker.apology import Apology
from voice_worker.pipeline import build_voice

logger = structlog.get_logger(__name__)

_RATE: Final = 24_000
LONGEST_S: Final = 30.0
ANSWERED_S: Final = 5.0


async def speak_notice(ctx: JobContext, text: str, *, speaking: Mapping[str, Any], on_heard: Callable[[datetime], None]) -> None:
    """Answer the phone, say it, and wait until it was heard. A voice that fails leaves a silent, short answer.

    `on_heard` gets the moment from which the other side can hear it.
    """
    source = rtc.AudioSource(_RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track("notice", source)
    try:
        async with asyncio.timeout(LONGEST_S):
            sound = await _sound(text, Speaking.model_validate(speaking))
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            published = await ctx.room.local_participant.publish_track(track, options)
            await _answered(ctx)
            on_heard(datetime.now(UTC))
            async for frame in sound.frames():
                await source.capture_frame(frame)
            await source.wait_for_playout()
            await ctx.room.local_participant.unpublish_track(published.sid)
    except Exception:
        logger.exception("a notice was not spoken", text=text)
    finally:
        await source.aclose()


async def _sound(text: str, speaking: Speaking) -> Apology:
    settings_ = VersionSettings(speaking=speaking)
    voice = build_voice(settings_)
    name = f"{speaking.provider}/{speaking.model}/{speaking.voice}/{speaking.speed}"
    sound = Apology(text, voice=voice, name=name, folder=Path(settings.VP_FILES) / "notices")
    try:
        await sound.prepare()
    finally:
        await voice.aclose()
    return sound


async def _answered(ctx: JobContext) -> None:
    """What is said before the phone is answered nobody hears."""
    answered = asyncio.Event()

    def look(*_: object) -> None:
        if any(who.attributes.get("sip.callStatus") == "active" for who in ctx.room.remote_participants.values()):
            answered.set()

    ctx.room.on("participant_attributes_changed", look)
    look()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(answered.wait(), ANSWERED_S)
    ctx.room.off("participant_attributes_changed", look)
