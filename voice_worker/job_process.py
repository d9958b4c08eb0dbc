"""One call in a process of its own, born from a forkserver, and the host's grip on it."""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any, Final

from django.conf import settings

from voice_worker.entrypoint import Job, run_call
from voice_worker.far_ends import persona_ends

News = Mapping[str, Any]
PRELOADED: Final = "voice_worker.forkserver"
_STOP: Final = "stop"


@cache
def _context() -> ForkServerContext:
    prepare_forkserver()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    return context


def prepare_forkserver() -> None:
    """What a forkserver needs of the process that starts it."""
    # It finds the project by the working directory alone.
    os.chdir(settings.BASE_DIR)
    # numpy would start a thread per core there, and jobs do no algebra worth it.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"


def warm_up() -> None:
    """Start the forkserver and wait until it has imported everything; blocks for some seconds."""
    process = _context().Process(target=_nothing)
    process.start()
    process.join()


def _nothing() -> None:
    """Shows that jobs can be born."""


@dataclass(frozen=True, slots=True)
class _Orders:
    job: Job
    tells: bool


class JobProcess:
    """A running job as its host sees it. Made and started off the event loop."""

    def __init__(self, job: Job, *, tells: bool = False) -> None:
        """With `tells`, `news` gives what the job writes down while it happens."""
        self.job = job
        ours, theirs = multiprocessing.Pipe()
        self._pipe: Connection = ours
        self._process: ForkServerProcess = _context().Process(
            target=_run, args=(_Orders(job=job, tells=tells), theirs), name=f"call {job.call_id}", daemon=True
        )
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    async def wait(self) -> int:
        """The exit code, once the process is gone."""
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._process.sentinel, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        await asyncio.to_thread(self._process.join)
        return self._process.exitcode or 0

    async def follow(self) -> AsyncIterator[News]:
        """What the job tells, until it is gone."""
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._pipe.fileno(), readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                for news in self._arrived():
                    yield news
        except (EOFError, OSError):
            return
        finally:
            loop.remove_reader(self._pipe.fileno())

    def _arrived(self) -> Iterator[News]:
        while self._pipe.poll():
            yield self._pipe.recv()

    def stop(self) -> None:
        """Ask the job to end its call."""
        with contextlib.suppress(OSError):
            self._pipe.send(_STOP)

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._pipe.close()
        self._process.close()


def _run(orders: _Orders, pipe: Connection) -> None:
    """What a newborn process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = 1
    try:
        # Closing the runner would wait for threads that hang on a server.
        code = asyncio.Runner().run(_hold(orders, pipe))
    except Exception:
        logging.getLogger(__name__).exception("the job failed")
    finally:
        logging.shutdown()
        os._exit(code)


async def _hold(orders: _Orders, pipe: Connection) -> int:
    stop, teller = asyncio.Event(), _Teller(pipe) if orders.tells else None
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(pipe.fileno(), _heed, pipe, stop)
    tell: Callable[[News], None] = teller.tell if teller else lambda _: None

    def rehearsed(done: int, total: int) -> None:
        tell({"op": "rehearsed", "done": done, "total": total})

    from livekit.agents.testing import fake_job_context  # noqa: PLC0415

    with fake_job_context(job_id=orders.job.job_id):
        outcome = await run_call(orders.job, ends=persona_ends(rehearsed), stop=stop, observe=tell)
    if teller:
        teller.close()
    return 0 if outcome else 3


def _heed(pipe: Connection, stop: asyncio.Event) -> None:
    """The host says stop; one that has died is no host any more."""
    try:
        wanted = pipe.recv()
    except (EOFError, OSError):
        asyncio.get_running_loop().remove_reader(pipe.fileno())
        wanted = _STOP
    if wanted == _STOP:
        stop.set()


class _Teller:
    """Sends news to the host on a thread, because a pipe may be full."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._queue: queue.Queue[News | None] = queue.Queue()
        self._thread = threading.Thread(target=self._send, name="news", daemon=True)
        self._thread.start()

    def tell(self, news: News) -> None:
        self._queue.put(news)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join(2.0)

    def _send(self) -> None:
        with contextlib.suppress(OSError):
            while (news := self._queue.get()) is not None:
                self._pipe.send(news)
