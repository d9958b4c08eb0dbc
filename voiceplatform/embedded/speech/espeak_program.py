"""espeak-ng as a program: robotic, but there when Piper is not."""

import asyncio
import io
import shutil
import wave

from voiceplatform.embedded.speech.errors import BrokenEngineError
from voiceplatform.embedded.speech.voices import Voice

_WORDS_PER_MINUTE = 165


def espeak_path() -> str | None:
    return shutil.which("espeak-ng")


async def espeak(*, program: str, text: str, voice: Voice, speed: float) -> tuple[bytes, int]:
    """PCM and sample rate of one piece of text."""
    process = await asyncio.create_subprocess_exec(
        program, "--stdout", "--stdin",
        "-v", voice.espeak,
        "-p", str(voice.espeak_pitch),
        "-s", str(round(_WORDS_PER_MINUTE * speed)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    sound, errors = await process.communicate(text.encode())
    if process.returncode != 0 or not sound:
        raise BrokenEngineError(f"espeak-ng ended with code {process.returncode}: {errors.decode(errors='replace').strip()}")
    with wave.open(io.BytesIO(sound), "rb") as wav:
        # The header of a stream does not know its length, so what lies behind it is taken as it is.
        return wav.readframes(len(sound)), wav.getframerate()
