"""A host's row in the database: registered, beating, retired."""

import asyncio
import os
import socket
from collections.abc import Callable, Collection
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from django.db import Error as DatabaseError

from calls.errors import UnknownHostError
from calls.services.hosts import beat_host, register_host, retire_host, return_host
from calls.timers import timer
from voice_worker.database import in_database
from voice_worker.spool import Spool

logger = structlog.get_logger(__name__)

BEAT_S: Final = timer(5).total_seconds()
_TIMEOUT_S: Final = 4.0


class Heartbeat:
    """Says every few seconds that this host lives, what runs in it and what it has still to hand in."""

    def __init__(self, *, transport: str, slots: int, spool: Spool, job_ids: Callable[[], Collection[str]]) -> None:
        self.host_id: UUID | None = None
        self._transport = transport
        self._slots = slots
        self._spool = spool
        self._job_ids = job_ids

    async def register(self) -> UUID:
        """Raises django.db.Error."""
        host = await in_database(partial(register_host, name=self._name(), transport=self._transport, slots=self._slots))
        self.host_id = host.pk
        return host.pk

    @staticmethod
    def _name() -> str:
        return f"{socket.gethostname()}:{os.getpid()}"

    async def run(self) -> None:
        """Beat for ever; a database that is away is told the next time."""
        while True:
            await asyncio.sleep(BEAT_S)
            await self.beat()

    async def beat(self) -> None:
        if self.host_id is None:
            return
        spooled = await asyncio.to_thread(self._spool.waiting)
        beat = partial(beat_host, host_id=self.host_id, job_ids=list(self._job_ids()), spooled_call_ids=spooled)
        try:
            await in_database(beat, timeout_s=_TIMEOUT_S)
        except UnknownHostError:
            logger.warning("this host was taken for gone; it registers anew")
            await self._register_again()
        except (DatabaseError, TimeoutError) as error:
            logger.warning("the beat was not taken", error=f"{type(error).__name__}: {error}")

    async def retire(self) -> None:
        if self.host_id is None:
            return
        try:
            await in_database(partial(retire_host, host_id=self.host_id), timeout_s=_TIMEOUT_S)
        except (DatabaseError, TimeoutError) as error:
            logger.warning("the host could not say goodbye", error=f"{type(error).__name__}: {error}")

    async def _register_again(self) -> None:
        """Under the same id, which its jobs know it by."""
        if self.host_id is None:
            return
        back = partial(return_host, host_id=self.host_id, name=self._name(), transport=self._transport, slots=self._slots)
        try:
            await in_database(back, timeout_s=_TIMEOUT_S)
        except (DatabaseError, TimeoutError) as error:
            logger.warning("the host could not register", error=str(error))
