"""Calling a person from the call's room: the trunk's turn, the last gates, the ring, and what came of it."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import aiohttp
import structlog
from google.protobuf.duration_pb2 import Duration
from livekit import api, rtc
from livekit.agents import JobContext

from calls.outcomes import UNKNOWN as NOBODY_KNOWS
from calls.outcomes import DialOutcome
from calls.services.dialing import CALLEE, Dial, NotDialed, begin_dialing, note_trunk_trouble, put_back, trunk_of
from calls.services.pacing import take_turn
from voice_worker.audio import CallClock
from voice_worker.database import in_database
from voice_worker.entrypoint import Append, EndsFactory, Job
from voice_worker.outcome import CPS_MISSED, CallOverError, Outcome, PutBackError
from voice_worker.ringing import PATIENCE_S, outcome_of, rung
from voice_worker.room_ends import RoomEnds
from voice_worker.room_tracks import AgentTrack
from voice_worker.rooms import join
from voice_worker.snapshot import CallSnapshot

logger = structlog.get_logger(__name__)

COMMIT_AHEAD_S: Final = 0.1
LATEST_S: Final = 0.02
SENT_WITHIN_S: Final = 2.0


def phone_ends(ctx: JobContext, job: Job) -> EndsFactory:
    """Dials the call's number. The factory raises CallOverError when nobody answers, PutBackError when its turn is too far."""

    async def connect(snapshot: CallSnapshot, clock: CallClock, append: Append) -> RoomEnds:
        await join(ctx)
        track = AgentTrack(ctx.room)
        try:
            await track.publish()
            participant = await _Dialing(ctx, job, append).answered()
        except BaseException:
            await track.aclose()
            raise
        return RoomEnds(ctx, participant, track=track, clock=clock, append=append, job=job)

    return connect


class _Dialing:
    """One dial of one call: at most one INVITE."""

    def __init__(self, ctx: JobContext, job: Job, append: Append) -> None:
        self._ctx = ctx
        self._job = job
        self._append = append
        self._rang = False
        self._active = asyncio.Event()

    async def answered(self) -> rtc.RemoteParticipant:
        due = await self._turn()
        if due is None:
            if await in_database(partial(put_back, call_id=self._job.call_id, job_id=self._job.job_id)):
                raise PutBackError
            raise CallOverError(Outcome("canceled", "canceled_by_user"))
        await _until(due - COMMIT_AHEAD_S)
        dial = await in_database(partial(begin_dialing, call_id=self._job.call_id, job_id=self._job.job_id))
        if isinstance(dial, NotDialed):
            raise CallOverError(Outcome(dial.disposition, dial.reason, dial.detail))
        await self._wait_for_turn(due, committed=time.monotonic())
        self._ctx.room.on("participant_attributes_changed", self._on_attributes)
        self._ctx.room.on("participant_connected", lambda who: self._on_attributes(who.attributes, who))
        return await self._ring(dial)

    async def _turn(self) -> float | None:
        """When it may begin, on the monotonic clock."""
        trunk_id = await in_database(partial(trunk_of, self._job.call_id))
        turn = await in_database(partial(take_turn, trunk_id))
        return time.monotonic() + turn.in_s if turn else None

    async def _wait_for_turn(self, due: float, *, committed: float) -> None:
        if time.monotonic() <= due + LATEST_S:
            await _until(due)
            if time.monotonic() <= due + LATEST_S:
                return
        again = await self._turn()
        if again is None or again > committed + SENT_WITHIN_S:
            raise CallOverError(CPS_MISSED)
        await _until(again)
        if time.monotonic() > again + LATEST_S:
            raise CallOverError(CPS_MISSED)

    async def _ring(self, dial: Dial) -> rtc.RemoteParticipant:
        request = api.CreateSIPParticipantRequest(
            room_name=dial.room,
            sip_trunk_id=dial.trunk,
            sip_call_to=dial.phone,
            sip_number=dial.caller_id,
            participant_identity=CALLEE,
            wait_until_answered=True,
            ringing_timeout=Duration(seconds=dial.ring_timeout_s),
            max_call_duration=Duration(seconds=dial.max_duration_s + 60),
        )
        try:
            made = await rung(request, active=self._active, timeout_s=dial.ring_timeout_s + PATIENCE_S)
        except api.TwirpError as error:
            raise await self._over(outcome_of(error)) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return await self._look(error)
        self._append({"op": "leg", "identity": CALLEE, "carrier_id": made.sip_call_id, "answered_at": _now()})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                return await self._ctx.wait_for_participant(identity=CALLEE)
        raise await self._over(NOBODY_KNOWS)

    async def _look(self, error: Exception) -> rtc.RemoteParticipant:
        """The server did not tell what became of the dial, but the room shows whether somebody has answered."""
        logger.warning("the dial was not answered for", error=f"{type(error).__name__}: {error}")
        found = self._ctx.room.remote_participants.get(CALLEE)
        if found is not None and found.attributes.get("sip.callStatus") == "active":
            self._append({"op": "leg", "identity": CALLEE, "answered_at": _now()})
            return found
        raise await self._over(NOBODY_KNOWS)

    async def _over(self, outcome: DialOutcome) -> CallOverError:
        self._append({"op": "leg", "identity": CALLEE, "ended_at": _now(), "end_reason": outcome.reason})
        data = {"is_attempt": outcome.is_attempt, "retry": str(outcome.retry)}
        self._append({"op": "event", "kind": "dial_ended", "at": _now(), "data": data})
        try:
            await in_database(partial(note_trunk_trouble, call_id=self._job.call_id, outcome=outcome))
        except Exception:
            logger.exception("the trunk's trouble could not be noted")
        return CallOverError(Outcome(outcome.disposition, outcome.reason, outcome.detail))

    def _on_attributes(self, changed: Any, participant: Any) -> None:
        status = changed.get("sip.callStatus") if participant.identity == CALLEE else None
        if status == "active":
            self._active.set()
        if status != "ringing" or self._rang:
            return
        self._rang = True
        self._append({"op": "leg", "identity": CALLEE, "ringing_at": _now()})
        self._append({"op": "status", "to": "ringing", "at": _now()})


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))


def _now() -> str:
    return datetime.now(UTC).isoformat()
