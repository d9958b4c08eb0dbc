"""What AgentServer runs in its job processes; preloaded there, and pickled by name."""

import asyncio
import json
import logging
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from livekit.agents import JobContext, JobProcess

from voice_worker.audio import CallClock, CallEnds
from voice_worker.entrypoint import Append, EndsFactory, Job, run_call
from voice_worker.room_ends import room_ends
from voice_worker.rooms import close_room
from voice_worker.snapshot import OUTBOUND, CallSnapshot
from voice_worker.telephony import phone_ends

logger = structlog.get_logger(__name__)

_CALL: Final = "call"
_STOP: Final = "stop"
_HOST: Final = "host_id"


def prewarm(proc: JobProcess, *, host_id: str) -> None:
    proc.userdata[_HOST] = host_id
    # Records are forwarded to the parent, which prints them.
    root = logging.getLogger()
    for handler in list(root.handlers):
        if type(handler).__name__ != "LogQueueHandler":
            root.removeHandler(handler)


async def hold(ctx: JobContext) -> None:
    """Returns at once: an entrypoint that goes on would hold up the end of its call."""
    call_id = call_id_of(ctx.job.metadata)
    if call_id is None:
        logger.error("a job without a call", metadata=ctx.job.metadata[:200])
        ctx.shutdown("no call")
        return
    stop = asyncio.Event()
    job = Job(call_id=call_id, job_id=ctx.job.id, host_id=UUID(ctx.proc.userdata[_HOST]))
    call = asyncio.create_task(run_call(job, ends=_far_end(ctx, job), stop=stop, over=partial(close_room, ctx)))
    ctx.proc.userdata[_CALL], ctx.proc.userdata[_STOP] = call, stop
    call.add_done_callback(lambda _: ctx.shutdown("the call has ended"))


def _far_end(ctx: JobContext, job: Job) -> EndsFactory:
    dialed, joined = phone_ends(ctx, job), room_ends(ctx)

    async def connect(snapshot: CallSnapshot, clock: CallClock, append: Append) -> CallEnds:
        return await (dialed if snapshot.kind == OUTBOUND else joined)(snapshot, clock, append)

    return connect


async def finish(ctx: JobContext) -> None:
    """The job is over, whoever said so: the call ends and its records are handed in."""
    call = ctx.proc.userdata.get(_CALL)
    if call is not None:
        ctx.proc.userdata[_STOP].set()
        await call


def call_id_of(metadata: str) -> UUID | None:
    try:
        return UUID(json.loads(metadata)["call_id"])
    except (ValueError, KeyError, TypeError):
        return None
