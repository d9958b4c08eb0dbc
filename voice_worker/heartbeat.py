"""A host's row in the database: registered, beating, retired."""

import asyncio
import os
import platform
import socket
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib.metadata import version
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import Error as DatabaseError

from calls.errors import UnknownHostError
from calls.services.hosts import Condition, beat_host, register_host, retire_host, return_host
from calls.timers import timer
from voice_worker.database import in_database
from voice_worker.memory import pss_of
from voice_worker.spool import Spool
from voiceplatform.lib.version import VERSION

logger = structlog.get_logger(__name__)

BEAT_S: Final = timer(5).total_seconds()
_TIMEOUT_S: Final = 4.0


@cache
def versions() -> dict[str, str]:
    """What this host runs on."""
    packages = {name: version(name) for name in ("livekit-agents", "livekit")}
    return {"platform": VERSION, "python": platform.python_version(), **packages}


class Heartbeat:
    """Says every few seconds that this host lives, what runs in it and what it has still to hand in."""

    def __init__(self, *, transport: str, slots: int, spool: Spool, jobs: Callable[[], Mapping[str, int]]) -> None:
        """`jobs` gives the process of each running job, 0 while it is being born."""
        self.host_id: UUID | None = None
        self.draining = False
        self._transport = transport
        self._slots = slots
        self._spool = spool
        self._jobs = jobs

    async def register(self) -> UUID:
        """Raises django.db.Error."""
        host = await in_database(partial(register_host, **self._facts()))
        self.host_id = host.pk
        return host.pk

    def _facts(self) -> dict[str, Any]:
        name = f"{socket.gethostname()}:{os.getpid()}"
        return {"name": name, "transport": self._transport, "slots": self._slots, "versions": versions()}

    async def drain(self) -> None:
        """Say at once, and from now on, that the host takes no new calls."""
        self.draining = True
        await self.beat()

    async def run(self) -> None:
        """Beat for ever; a database that is away is told the next time."""
        while True:
            await asyncio.sleep(BEAT_S)
            await self.beat()

    async def beat(self) -> None:
        if self.host_id is None:
            return
        spooled = await asyncio.to_thread(self._spool.waiting)
        used = (await asyncio.to_thread(pss_of, dict(self._jobs()))).values()
        condition = Condition(draining=self.draining, memory_mb=round(sum(used)), peak_job_mb=round(max(used, default=0)))
        # A job that began while all that was counted is in the beat.
        jobs = list(self._jobs())
        beat = partial(beat_host, host_id=self.host_id, job_ids=jobs, spooled_call_ids=spooled, condition=condition)
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
        back = partial(return_host, host_id=self.host_id, **self._facts())
        try:
            await in_database(back, timeout_s=_TIMEOUT_S)
        except (DatabaseError, TimeoutError) as error:
            logger.warning("the host could not register", error=str(error))
