"""Hearing somebody beside the session: their sound, and what they say in words."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog
from livekit import rtc
from livekit.agents import stt

from voice_worker.audio import RATE, CallClock, FrameSink

logger = structlog.get_logger(__name__)

_INTERIM: Final = stt.SpeechEventType.INTERIM_TRANSCRIPT


@dataclass(frozen=True, slots=True)
class Words:
    """A stretch of speech, with its call seconds."""

    text: str
    started_at: float
    ended_at: float
    language: str = ""


class Overhearing:
    """Of one participant, until it is closed or they have gone."""

    def __init__(
        self,
        stream: rtc.AudioStream,
        *,
        hearing: stt.STT,
        clock: CallClock,
        frame: FrameSink,
        said: Callable[[Words], None],
    ) -> None:
        self._stream, self._clock = stream, clock
        self._frame, self._said = frame, said
        words = hearing.stream()
        self._tasks = [asyncio.create_task(self._listen(words)), asyncio.create_task(self._understand(words))]

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._stream.aclose()

    async def _listen(self, words: stt.RecognizeStream) -> None:
        async for event in self._stream:
            self._frame(np.frombuffer(event.frame.data, dtype=np.int16), self._clock.now() - event.frame.duration)
            # Where nobody understands them any more, there is still the sound.
            with contextlib.suppress(RuntimeError):
                words.push_frame(event.frame)
        # Last words end where silence follows them.
        with contextlib.suppress(RuntimeError):
            words.push_frame(rtc.AudioFrame(bytes(2 * RATE), RATE, 1, RATE))
            words.end_input()

    async def _understand(self, words: stt.RecognizeStream) -> None:
        began: float | None = None
        try:
            async with words:
                async for event in words:
                    now = self._clock.now()
                    if event.type == stt.SpeechEventType.START_OF_SPEECH or (event.type == _INTERIM and began is None):
                        began = now
                    elif event.type == stt.SpeechEventType.FINAL_TRANSCRIPT and event.alternatives:
                        ended = self._clock.from_wall(event.speech_end_time) if event.speech_end_time else now
                        self._tell(event.alternatives[0], began=ended if began is None else began, ended=ended)
                        began = None
        except Exception as error:  # noqa: BLE001 of whatever class the provider's is
            logger.warning("somebody is not understood", error=type(error).__name__)

    def _tell(self, heard: stt.SpeechData, *, began: float, ended: float) -> None:
        if heard.text:
            self._said(Words(heard.text, began, max(began, ended), str(heard.language or "")))
