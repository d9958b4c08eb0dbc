"""Sentences spoken beside the session, whole and in the rate of our tracks."""

from livekit import rtc
from livekit.agents import tts

from voice_worker.audio import RATE


async def spoken(text: str, *, voice: tts.TTS) -> bytes:
    """Raises what the voice raises."""
    frame = await voice.synthesize(text).collect()
    if frame.sample_rate == RATE:
        return bytes(frame.data)
    resampler = rtc.AudioResampler(frame.sample_rate, RATE, num_channels=1)
    return b"".join(bytes(part.data) for part in [*resampler.push(frame), *resampler.flush()])
