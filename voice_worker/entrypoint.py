"""One call, from the claim to the finished record: what every host runs, whatever the far end is."""

from voice_worker import bootstrap  # noqa: F401, I001  sets Django up before any model is imported

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from livekit.agents import llm
from livekit.agents.llm import RawFunctionTool

from agents.errors import LiquidError
from calls.models import Call
from calls.policies import NO_CONTENT
from calls.services.claiming import claim_call
from voice_worker import outcome
from voice_worker.answered import AnswerClock, AnsweredCall
from voice_worker.audio import CallClock
from voice_worker.line import CallEnds
from voice_worker.closing import later, quietly
from voice_worker.conversation import Conversation, Script
from voice_worker.database import in_database
from voice_worker.desk import CallDesk
from voice_worker.instructions import build_instructions, render_line
from voice_worker.orders import Order, Orders
from voice_worker.outcome import CallOverError, Outcome, PutBackError
from voice_worker.pipeline import MindBuilder, ModelMissingError, StagesBuilder, build_mind, build_stages
from voice_worker.providers.base import ProviderConfigError
from voice_worker.providers.local_llm import LocalLLM
from voice_worker.reaching import People
from voice_worker.records import Records
from voice_worker.snapshot import OUTBOUND, CallSnapshot, load_snapshot
from voice_worker.tools.builder import Toolbox, build_tools
from voice_worker.written import OpenedChat

logger = structlog.get_logger(__name__)

PREPARE_S: Final = 90.0
WARM_UP_S: Final = 60.0
HAND_IN_S: Final = 10.0
HANG_UP_S: Final = 6.0

Append = Callable[[Mapping[str, Any]], None]
EndsFactory = Callable[[CallSnapshot, CallClock, Append], Awaitable[CallEnds]]
"""Prepares the far end of a call, and writes down what happens there; the clock starts anew when the call is answered."""
Observer = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Job:
    call_id: UUID
    job_id: str
    host_id: UUID

    @property
    def folder(self) -> Path:
        """Where everything about the call is kept until it is handed in."""
        return Path(settings.VP_SPOOL) / str(self.call_id)


async def run_call(
    job: Job,
    *,
    ends: EndsFactory,
    stop: asyncio.Event | None = None,
    observe: Observer | None = None,
    over: Callable[[], Awaitable[None]] | None = None,
    stages: StagesBuilder = build_stages,
    mind: MindBuilder = build_mind,
) -> Outcome | None:
    """Claim a call and hold it to its end. `stop` ends it as a shutdown.

    `over` runs as soon as the end is written down, before anything is taken down: it hangs up. None when another job has
    the call, which leaves no trace, and when the call waits in the queue again.
    """
    if not await _claim(job):
        return None
    structlog.contextvars.bind_contextvars(call_id=str(job.call_id), job_id=job.job_id)
    opened = partial(Records, call_id=job.call_id, job_id=job.job_id, folder=job.folder, observe=observe)
    records = await asyncio.to_thread(opened, loop=asyncio.get_running_loop())
    try:
        run = _Run(job, records=records, ends=ends, over=over, builders=_Builders(stages=stages, mind=mind))
        return await run.hold(stop=stop or asyncio.Event())
    except PutBackError:
        return None
    finally:
        records.append({"op": "finalize", "at": _now()})
        if not await records.aclose(timeout_s=HAND_IN_S):
            logger.warning("the records are not all stored; the host hands them in")


async def _claim(job: Job) -> bool:
    try:
        return await in_database(partial(claim_call, call_id=job.call_id, job_id=job.job_id, host_id=job.host_id))
    except Call.DoesNotExist:
        logger.warning("there is no such call", call_id=str(job.call_id))
        return False


@dataclass(frozen=True, slots=True)
class _Builders:
    stages: StagesBuilder
    mind: MindBuilder


class _Run:
    """One call's parts, and the order in which they come and go."""

    def __init__(
        self,
        job: Job,
        *,
        records: Records,
        ends: EndsFactory,
        over: Callable[[], Awaitable[None]] | None,
        builders: _Builders,
    ) -> None:
        self._job = job
        self._records = records
        self._ends = ends
        self._over = over
        self._hanging_up: asyncio.Task[None] | None = None
        self._builders = builders
        self._conversation: Conversation | None = None
        self._result: Outcome | None = None

    async def hold(self, *, stop: asyncio.Event) -> Outcome:
        talk = asyncio.create_task(self._talk())
        watch = [asyncio.create_task(self._end_on(stop, talk)), asyncio.create_task(self._end_when_disowned())]
        try:
            await talk
        except PutBackError:
            raise
        except CallOverError as over:
            self._ended(over.outcome)
        except ModelMissingError as error:
            self._ended(Outcome(outcome.FAILED, "model_missing", str(error)))
        except (ProviderConfigError, LiquidError) as error:
            self._ended(outcome.config_error(str(error)))
        except asyncio.CancelledError:
            self._ended(outcome.WORKER_SHUTDOWN)
            if not stop.is_set():
                raise
        except Exception as error:
            logger.exception("the call failed")
            self._ended(outcome.internal_error(error))
        finally:
            for task in watch:
                task.cancel()
            if self._hanging_up:
                await asyncio.wait([self._hanging_up])
        return self._result or outcome.internal_error(RuntimeError("the call ended without saying how"))

    async def _end_on(self, stop: asyncio.Event, talk: "asyncio.Task[None]") -> None:
        await stop.wait()
        if self._conversation:
            self._conversation.end(outcome.WORKER_SHUTDOWN)
        else:
            talk.cancel()

    async def _end_when_disowned(self) -> None:
        """Another job holds the call, so nobody would know of what is said here."""
        await self._records.disowned.wait()
        if self._conversation:
            self._conversation.end(outcome.internal_error(RuntimeError("the call belongs to another job")))

    def _ended(self, result: Outcome) -> None:
        """The first end counts; it is written at once, before anything is taken down."""
        if self._result is not None:
            return
        self._result = result
        if result is outcome.HANDED_OVER:
            self._records.append({"op": "status", "to": "handed_over", "at": _now()})
            return
        entry = {"op": "status", "to": "ended", "at": _now(), "disposition": result.disposition}
        self._records.append({**entry, "ended_reason": result.reason, "detail": result.detail})
        if self._over:
            self._hanging_up = asyncio.create_task(quietly(self._over, longest_s=HANG_UP_S))

    async def _talk(self) -> None:
        snapshot = await in_database(partial(load_snapshot, self._job.call_id))
        if snapshot.policy == NO_CONTENT and not snapshot.is_chat:
            # What is written into a chat is its only answer; it is forgotten when the chat is over.
            self._records.keeps_content = False
        orders = Orders(snapshot.call_id, features=snapshot.features)
        desk = CallDesk(records=self._records, orders=orders, people=People(snapshot))
        backend_decides = settings.TOOLS_DECIDED_BY_BACKEND
        box = Toolbox(call_id=snapshot.call_id, desk=desk, backend_decides=backend_decides, transfers=snapshot.transfers)
        tools = build_tools(snapshot.usable_grants, box=box)
        script = await asyncio.to_thread(self._write_script, snapshot, tools)
        async with contextlib.AsyncExitStack() as closing:
            open_far_end = self._open_chat if snapshot.is_chat else self._answer
            far_end = await open_far_end(snapshot, script=script, tools=tools, orders=orders, closing=closing)
            later(closing, far_end.aclose)
            self._conversation = far_end.converse(script=script, orders=orders)
            desk.open(self._conversation)
            self._ended(await self._conversation.run(tools=tools))

    async def _answer(
        self,
        snapshot: CallSnapshot,
        *,
        script: Script,
        tools: Sequence[RawFunctionTool],
        orders: Orders,
        closing: contextlib.AsyncExitStack,
    ) -> AnsweredCall:
        stages = await self._builders.stages(snapshot.settings)
        later(closing, stages.aclose)
        clock = AnswerClock()
        warming = asyncio.create_task(_warm_up(stages.llm, script=script, tools=tools))
        closing.callback(warming.cancel)
        async with asyncio.timeout(PREPARE_S):
            line = await self._connected(snapshot, clock, orders)
        later(closing, line.aclose)
        if not snapshot.is_with_a_person:
            await asyncio.wait({warming})
        return AnsweredCall(snapshot, stages=stages, line=line, clock=clock, records=self._records, folder=self._job.folder)

    async def _connected(self, snapshot: CallSnapshot, clock: AnswerClock, orders: Orders) -> CallEnds:
        """The far end, unless somebody ends the call before it is there."""
        canceled: asyncio.Queue[str] = asyncio.Queue()

        def heed(order: Order) -> None:
            if order.is_hang_up:
                self._records.append(order.ended())
                canceled.put_nowait(order.reason)
            elif not order.is_message:
                self._records.append(order.ended(failed="call_not_answered"))

        connecting = asyncio.ensure_future(self._ends(snapshot, clock, self._records.append))
        hung_up = asyncio.create_task(canceled.get())
        watching = asyncio.create_task(orders.run(heed))
        try:
            await asyncio.wait([connecting, hung_up], return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                return connecting.result()
            self._ended(outcome.canceled(hung_up.result()))
            raise CallOverError(outcome.canceled(hung_up.result()))
        finally:
            for task in (watching, hung_up, connecting):
                task.cancel()
            await asyncio.wait([connecting, watching])

    async def _open_chat(
        self,
        snapshot: CallSnapshot,
        *,
        script: Script,
        tools: Sequence[RawFunctionTool],
        orders: Orders,
        closing: contextlib.AsyncExitStack,
    ) -> OpenedChat:
        model = await self._builders.mind(snapshot.settings)
        later(closing, model.aclose)
        # The greeting can be read meanwhile.
        closing.callback(asyncio.create_task(_warm_up(model, script=script, tools=tools)).cancel)
        return OpenedChat(snapshot, model=model, records=self._records)

    def _write_script(self, snapshot: CallSnapshot, tools: Sequence[RawFunctionTool]) -> Script:
        at, names = datetime.now(UTC), [tool.id for tool in tools]
        built = build_instructions(snapshot, tools=names, at=at)
        data = {"instructions_sha256": built.sha256, "tools": names}
        self._records.append({"op": "event", "kind": "prepared", "at": at.isoformat(), "data": data})
        machines, calls_out = snapshot.settings.machines, snapshot.kind == OUTBOUND
        return Script(
            settings=snapshot.settings,
            instructions=built.text,
            greeting=render_line(snapshot.settings.opening.greeting, snapshot, at=at),
            max_duration_s=snapshot.max_duration_s,
            voicemail_message=render_line(machines.voicemail_message, snapshot, at=at) if calls_out else "",
            introduction=render_line(machines.introduction, snapshot, at=at) if calls_out else "",
            transfers=snapshot.transfers,
        )


async def _warm_up(model: llm.LLM, *, script: Script, tools: Sequence[RawFunctionTool]) -> None:
    """A local model reads the instructions before the caller waits for its first answer."""
    if not isinstance(model, LocalLLM):
        return
    context = llm.ChatContext.empty()
    context.add_message(role="system", content=script.instructions)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(model.warm_up(chat_ctx=context, tools=tools), WARM_UP_S)


def _now() -> str:
    return datetime.now(UTC).isoformat()
