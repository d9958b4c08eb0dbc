"""A caller who asks and waits for the answer, again and again."""

import asyncio
import time
from dataclasses import dataclass, field

from benchmarks.ends import ScriptedEnds
from benchmarks.sounds import voice_like

UTTERANCE_S = 1.0
PAUSE_S = 0.2


@dataclass(slots=True)
class Turns:
    """`cpu_s` is what the whole process computed from the end of the greeting to the end of the last reply."""

    asked: int
    cpu_s: float = 0.0
    wall_s: float = 0.0
    gaps_ms: list[float] = field(default_factory=list)

    @property
    def cpu_ms_per_turn(self) -> float:
        return self.cpu_s * 1000 / max(1, len(self.gaps_ms))


async def take_turns(ends: ScriptedEnds, *, count: int) -> Turns:
    """Raises RuntimeError when a reply does not come."""
    sound, turns = voice_like(UTTERANCE_S), Turns(asked=count)
    if not await ends.reply_over(since=-1.0):
        raise RuntimeError("the greeting was not heard")
    cpu, wall = time.process_time(), time.perf_counter()
    for number in range(count):
        await asyncio.sleep(PAUSE_S)
        ended = (await ends.say(sound)).ended_at or 0.0
        if not await ends.reply_over(since=ended):
            raise RuntimeError(f"turn {number + 1} was not answered")
        heard = [at for at in ends.audible if at > ended]
        if heard:
            turns.gaps_ms.append((heard[0] - ended) * 1000)
    turns.cpu_s, turns.wall_s = time.process_time() - cpu, time.perf_counter() - wall
    return turns
