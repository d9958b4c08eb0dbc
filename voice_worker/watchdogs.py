"""What keeps a call from going on for ever: silence, length, and a model that never answers."""

import asyncio
from collections.abc import Callable
from typing import Final

from livekit.agents import AgentSession

from agents.pipeline import Limits
from voice_worker.audio import CallClock

_STEP_S: Final = 0.25


class Silence:
    """Asks whether the caller is there, as often as the limits say, then gives up."""

    def __init__(self, session: AgentSession, *, limits: Limits, is_busy: Callable[[], bool]) -> None:
        """`is_busy` says that something is going on which neither speaks nor listens."""
        self._session = session
        self._limits = limits
        self._is_busy = is_busy
        self._asked = 0
        self._quiet_s = 0.0

    def caller_spoke(self) -> None:
        self._asked, self._quiet_s = 0, 0.0

    async def run(self, *, ask: Callable[[], None], give_up: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(_STEP_S)
            self._quiet_s = self._quiet_s + _STEP_S if self._nobody_acts() else 0.0
            if self._quiet_s < self._limits.silence_prompt_after_s:
                continue
            self._quiet_s = 0.0
            if self._asked >= self._limits.silence_prompts:
                give_up()
                return
            self._asked += 1
            ask()

    def _nobody_acts(self) -> bool:
        session = self._session
        return session.user_state != "speaking" and session.agent_state not in ("speaking", "thinking") and not self._is_busy()


async def limit_duration(
    clock: CallClock, *, longest_s: float, warning_s: float, warn: Callable[[], None], end: Callable[[], None]
) -> None:
    if warning_s:
        await asyncio.sleep(max(0.0, longest_s - warning_s - clock.now()))
        warn()
    await asyncio.sleep(max(0.0, longest_s - clock.now()))
    end()


async def watch_thinking(
    session: AgentSession, *, longest_s: float, stuck: Callable[[], None], is_held: Callable[[], bool] = lambda: False
) -> None:
    """A model that neither answers nor fails; while `is_held`, it is not its turn."""
    thought_s = 0.0
    while thought_s < longest_s:
        await asyncio.sleep(_STEP_S)
        thinks = session.agent_state == "thinking" and not is_held()
        thought_s = thought_s + _STEP_S if thinks else 0.0
    stuck()
