"""The last words of an agent whose providers fail, spoken even when its voice is what failed."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import structlog
from livekit import rtc
from livekit.agents import tts

from voice_worker.voices import spoken

logger = structlog.get_logger(__name__)

_PREPARE_S: Final = 30.0
_RATE: Final = 24_000
_FRAME: Final = _RATE // 50 * 2


class Apology:
    """The sound of a sentence, made once per voice and kept on this machine."""

    def __init__(self, text: str, *, voice: tts.TTS, name: str, folder: Path) -> None:
        """`name` tells voices apart."""
        self._text = text
        self._voice = voice
        digest = hashlib.sha256(f"{name}\n{text}".encode()).hexdigest()
        self._path = folder / f"{digest[:32]}.pcm"
        self._pcm = b""

    @property
    def is_ready(self) -> bool:
        return bool(self._pcm)

    async def prepare(self) -> None:
        """Make the sound ready; a voice that fails leaves it unready."""
        try:
            self._pcm = await asyncio.to_thread(self._path.read_bytes)
        except OSError:
            await self._speak()

    async def frames(self) -> AsyncIterator[rtc.AudioFrame]:
        for begin in range(0, len(self._pcm), _FRAME):
            part = self._pcm[begin : begin + _FRAME]
            yield rtc.AudioFrame(part, _RATE, 1, len(part) // 2)

    async def _speak(self) -> None:
        try:
            async with asyncio.timeout(_PREPARE_S):
                pcm = await spoken(self._text, voice=self._voice)
        except Exception as error:  # noqa: BLE001 a call can be held without it
            logger.warning("the apology could not be prepared", error=f"{type(error).__name__}: {error}")
            return
        self._pcm = pcm
        await asyncio.to_thread(self._keep, self._pcm)

    def _keep(self, pcm: bytes) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._path.parent, delete=False) as file:
                file.write(pcm)
            Path(file.name).replace(self._path)
        except OSError:
            logger.exception("the apology could not be kept for the next call")
