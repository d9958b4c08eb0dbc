"""A persona at the other end of a leg."""

import asyncio
import contextlib
import logging
from pathlib import Path

import numpy as np

from agents.personas import PERSONAS
from voice_worker.audio import CallClock, Int16Array
from voice_worker.simulation.carrier.legs import Leg
from voice_worker.simulation.ends import PersonaEnds
from voice_worker.simulation.speech import Hearing, Speaking, SpeechError

logger = logging.getLogger(__name__)


async def talk(key: str, leg: Leg, *, hearing: Hearing, speaking: Speaking, folder: Path) -> None:
    """Holds the conversation, hangs up where the persona would, and leaves its own account as <folder>/<leg>.jsonl."""
    if key not in PERSONAS:
        logger.warning("There is no persona %r. Known: %s.", key, ", ".join(PERSONAS))
        return
    clock = CallClock()
    path = folder / f"{leg.id}.jsonl"
    ends = PersonaEnds(persona=PERSONAS[key], clock=clock, hearing=hearing, speaking=speaking, log_path=path)
    try:
        await ends.prepare()
        await ends.start()

        def hear(pcm: Int16Array) -> None:
            ends.hear(pcm, clock.now())

        leg.listen(lambda: hear)
        speaks = asyncio.create_task(_speak(ends, leg))
        try:
            await ends.left.wait()
            await leg.end("phone", ends.left_reason)
        finally:
            speaks.cancel()
    except SpeechError as error:
        logger.warning("persona %s has no voice: %s", key, error)
    finally:
        await ends.hang_up()
        await ends.aclose()


async def _speak(ends: PersonaEnds, leg: Leg) -> None:
    with contextlib.suppress(StopAsyncIteration):
        while True:
            frame = await anext(ends.audio_input)
            await leg.play_frame(np.frombuffer(frame.data, dtype=np.int16))
