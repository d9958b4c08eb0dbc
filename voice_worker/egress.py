"""A recorder that has the LiveKit server record the room. It stops at the first pause, because the server cannot pause."""

import asyncio
from collections.abc import Callable
from functools import partial
from uuid import UUID

import structlog
from django.db import connections

from calls.errors import LiveKitError
from calls.telephony.egress import start_recording, stop_recording

logger = structlog.get_logger(__name__)


class EgressRecorder:
    """What `keeping` needs of a recorder. Requests are made one after the other, beside the conversation."""

    def __init__(self, call_id: UUID, *, starts: bool = True) -> None:
        self._call_id = call_id
        self._steps: asyncio.Task[None] | None = None
        self._begun = self._over = False
        if starts:
            self.resume()

    def resume(self) -> None:
        if not self._begun and not self._over:
            self._begun = True
            self._then(partial(start_recording, self._call_id))

    def pause(self) -> None:
        if self._begun and not self._over:
            self._then(partial(stop_recording, self._call_id, paused=True))
        self._over = self._begun

    async def aclose(self) -> None:
        """The file is finished; how it ended is told by the server."""
        if self._begun and not self._over:
            self._over = True
            self._then(partial(stop_recording, self._call_id))
        if self._steps:
            await asyncio.wait([self._steps])

    def _then(self, step: Callable[[], object]) -> None:
        self._steps = asyncio.create_task(self._run(self._steps, step))

    async def _run(self, before: "asyncio.Task[None] | None", step: Callable[[], object]) -> None:
        if before:
            await asyncio.wait([before])
        try:
            await asyncio.to_thread(_closing, step)
        except LiveKitError as error:
            logger.warning("LiveKit did not record as it was asked", error=str(error))
        except Exception:
            logger.exception("a recording by LiveKit failed")


def _closing(step: Callable[[], object]) -> None:
    try:
        step()
    finally:
        connections.close_all()
