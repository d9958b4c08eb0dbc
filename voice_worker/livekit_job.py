"""What AgentServer runs in its job processes; preloaded there, and pickled by name."""

import asyncio
import json
import logging
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from livekit.agents import JobContext, JobProcess

from voice_worker.audio import CallClock
from voice_worker.browser_ends import browser_ends
from voice_worker.entrypoint import Append, EndsFactory, Job, run_call
from voice_worker.line import CallEnds
from voice_worker.receiving import received
from voice_worker.room_ends import room_ends
from voice_worker.rooms import close_room
from voice_worker.snapshot import OUTBOUND, WEB, CallSnapshot
from voice_worker.telephony import phone_ends
from voiceplatform.lib.logs import to_plain_record

logger = structlog.get_logger(__name__)

_CALL: Final = "call"
_STOP: Final = "stop"
_HOST: Final = "host_id"
_EXPECTED: Final = "The job task completed without establishing a connection"
"""The framework's warning about an entrypoint that returns before the room is joined, as `hold` does."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a job is for: a call that was placed, or one that comes in by a number, which may be nobody's."""

    call_id: UUID | None = None
    number_id: UUID | None = None

    @property
    def is_inbound(self) -> bool:
        return self.call_id is None


def task_of(metadata: str) -> Task | None:
    """None for a job of somebody else's."""
    try:
        told = json.loads(metadata)
        if "call_id" in told:
            return Task(call_id=UUID(told["call_id"]))
        return Task(number_id=UUID(told["number_id"]) if told["number_id"] else None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def prewarm(proc: JobProcess, *, host_id: str) -> None:
    proc.userdata[_HOST] = host_id
    # Records are forwarded to the parent, which prints them.
    root = logging.getLogger()
    for handler in list(root.handlers):
        if type(handler).__name__ == "LogQueueHandler":
            handler.addFilter(to_plain_record)
        else:
            root.removeHandler(handler)
    logging.getLogger("livekit.agents").addFilter(_is_unexpected)


def _is_unexpected(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_EXPECTED)


async def hold(ctx: JobContext) -> None:
    """Returns at once: an entrypoint that goes on would hold up the end of its call."""
    task = task_of(ctx.job.metadata)
    if task is None:
        logger.error("a job without a call", metadata=ctx.job.metadata[:200])
        ctx.shutdown("no call")
        return
    stop = asyncio.Event()
    call = asyncio.create_task(_hold(ctx, task, stop))
    ctx.proc.userdata[_CALL], ctx.proc.userdata[_STOP] = call, stop
    call.add_done_callback(lambda _: ctx.shutdown("the call has ended"))


async def _hold(ctx: JobContext, task: Task, stop: asyncio.Event) -> None:
    call_id = task.call_id or await received(ctx, task.number_id)
    if call_id is None:
        return
    job = Job(call_id=call_id, job_id=ctx.job.id, host_id=UUID(ctx.proc.userdata[_HOST]))
    await run_call(job, ends=_far_end(ctx, job), stop=stop, over=partial(close_room, ctx))


def _far_end(ctx: JobContext, job: Job) -> EndsFactory:
    others = {OUTBOUND: phone_ends(ctx, job), WEB: browser_ends(ctx, job)}
    joined = room_ends(ctx, job)

    async def connect(snapshot: CallSnapshot, clock: CallClock, append: Append) -> CallEnds:
        return await others.get(snapshot.kind, joined)(snapshot, clock, append)

    return connect


async def finish(ctx: JobContext) -> None:
    """The job is over, whoever said so: the call ends and its records are handed in."""
    call = ctx.proc.userdata.get(_CALL)
    if call is not None:
        ctx.proc.userdata[_STOP].set()
        await call
