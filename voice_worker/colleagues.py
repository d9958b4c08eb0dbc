"""People called into a caller's room who may take the call over: each is dialed, talked to alone, and joined or hung up on."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import aiohttp
import structlog
from google.protobuf.duration_pb2 import Duration
from livekit import api, rtc
from livekit.agents import JobContext, stt

from agents.transfers import Target
from calls.services.pacing import take_turn
from calls.services.transferring import NoWay, Way, begin_transfer, give_line_back, hand_over, supervisors_of
from voice_worker.apart import Apart, talk_apart, talk_to_all
from voice_worker.audio import CallClock
from voice_worker.briefing import hold_sound
from voice_worker.closing import quietly
from voice_worker.colleague import RoomColleague
from voice_worker.database import in_database
from voice_worker.entrypoint import Job
from voice_worker.handing import Outcome
from voice_worker.line import Colleague, NotReachedError
from voice_worker.reaching import refused_now
from voice_worker.ringing import PATIENCE_S, outcome_of, rung
from voice_worker.room_tracks import AgentTrack, RoomInput

logger = structlog.get_logger(__name__)

_TURNS: Final = 5
_TURN_WAITS_S: Final = 1.0
_LATEST_S: Final = 0.02
_KEY_S: Final = 1.0
_AWAY_S: Final = 4.0
_AGAIN_S: Final = 0.2
_OUTCOMES: Final[Mapping[str, Outcome]] = {"busy": "busy", "no_answer": "no_answer", "rejected": "declined"}


class RoomColleagues:
    """Of the caller of one room."""

    def __init__(
        self,
        ctx: JobContext,
        job: Job,
        *,
        caller: rtc.RemoteParticipant,
        track: AgentTrack,
        hears: RoomInput,
        clock: CallClock,
        append: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._ctx, self._job, self._caller = ctx, job, caller.identity
        self.caller_phone = caller.attributes.get("sip.phoneNumber", "")
        self._track, self._hears = track, hears
        self._clock, self._append = clock, append
        self._holding: asyncio.Task[None] | None = None
        self._aside: AgentTrack | None = None
        self._apart: dict[str, Apart] = {}
        self._there: dict[str, RoomColleague] = {}
        self.has_left = False
        """The two talk on, whatever becomes of the agent."""

    # -- the caller ------------------------------------------------------------------------------------------------

    def detach(self) -> None:
        self._hears.is_deaf = True

    def play_hold(self) -> None:
        self._holding = asyncio.create_task(self._hold())

    async def attach(self) -> None:
        await self._stop_hold()
        self._hears.is_deaf = False
        if self._aside:
            aside, self._aside = self._aside, None
            await quietly(aside.unpublish, longest_s=_AWAY_S)
            talk_to_all(self._ctx.room)

    async def aclose(self) -> None:
        await self._stop_hold()
        for apart in self._apart.values():
            await apart.stop()
        for colleague in self._there.values():
            await colleague.aclose()
        if self._aside:
            await self._aside.aclose()

    async def _hold(self) -> None:
        sound = hold_sound().tobytes()
        while True:
            await self._track.play(sound)

    async def _stop_hold(self) -> None:
        if self._holding:
            self._holding.cancel()
            await asyncio.wait([self._holding])

    # -- a colleague -----------------------------------------------------------------------------------------------

    async def are_refused(self, target: Target) -> bool:
        return target.id in await refused_now(self._job.call_id, [target])

    async def call(self, target: Target, *, identity: str, hearing: stt.STT) -> Colleague:
        way = await in_database(
            partial(begin_transfer, call_id=self._job.call_id, job_id=self._job.job_id, identity=identity, target=target)
        )
        if isinstance(way, NoWay):
            raise NotReachedError("failed", way.reason)
        aside = await self._talk_apart(identity)
        self._apart[identity] = Apart(self._ctx, caller=self._caller, other=identity)
        colleague = RoomColleague(self._ctx.room, identity, clock=self._clock, track=aside, append=self._append)
        self._there[identity] = colleague
        try:
            await self._turn(way)
            await self._ring(way, target, colleague)
            async with asyncio.timeout(PATIENCE_S):
                await self._apart[identity].sure()
            if colleague.left.is_set():
                raise NotReachedError("declined", "hung_up")
            colleague.hear(hearing)
        except TimeoutError as error:
            raise NotReachedError("failed", "no_response") from error
        return colleague

    async def _talk_apart(self, identity: str) -> AgentTrack:
        """Told to the server before the track for the other one is there, and before they come."""
        staff = await in_database(partial(supervisors_of, self._job.call_id))
        room, to_caller = self._ctx.room, {self._caller: [self._track.sid]}
        if self._aside is None:
            talk_apart(room, to=to_caller, everything=staff)
            self._aside = AgentTrack(room, name="aside")
            await self._aside.publish()
        talk_apart(room, to={**to_caller, identity: [self._aside.sid]}, everything=staff)
        return self._aside

    async def _turn(self, way: Way) -> None:
        for _ in range(_TURNS):
            turn = await in_database(partial(take_turn, way.trunk_id))
            if turn is None:
                await asyncio.sleep(_TURN_WAITS_S)
                continue
            due = time.monotonic() + turn.in_s
            await asyncio.sleep(turn.in_s)
            if time.monotonic() <= due + _LATEST_S:
                return
        raise NotReachedError("failed", "cps_missed")

    async def _ring(self, way: Way, target: Target, colleague: RoomColleague) -> None:
        request = api.CreateSIPParticipantRequest(
            room_name=way.room,
            sip_trunk_id=way.trunk,
            sip_call_to=target.phone,
            sip_number=way.caller_id,
            participant_identity=colleague.identity,
            dtmf=target.digits,
            wait_until_answered=True,
            ringing_timeout=Duration(seconds=target.ring_s),
            max_call_duration=Duration(seconds=way.max_duration_s + 60),
        )
        keys_s = _KEY_S * len(target.digits)
        try:
            made = await rung(request, active=colleague.active, timeout_s=target.ring_s + PATIENCE_S + keys_s)
        except api.TwirpError as error:
            came_to = outcome_of(error)
            raise NotReachedError(_OUTCOMES.get(came_to.disposition, "failed"), came_to.reason) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # It may have been answered all the same, which the room shows.
            if not colleague.active.is_set():
                raise NotReachedError("failed", "no_response") from error
        else:
            self._append({"op": "leg", "identity": colleague.identity, "carrier_id": made.sip_call_id})
        async with asyncio.timeout(PATIENCE_S + keys_s):
            await colleague.active.wait()

    async def dismiss(self, identity: str, *, reason: str) -> None:
        if apart := self._apart.pop(identity, None):
            await apart.stop()
        if colleague := self._there.pop(identity, None):
            await colleague.aclose()
            await self._send_away(identity)
            self._append({"op": "leg", "identity": identity, "ended_at": _now(), "end_reason": reason})
        await in_database(partial(give_line_back, call_id=self._job.call_id))

    async def _send_away(self, identity: str) -> None:
        who = api.RoomParticipantIdentity(room=self._ctx.job.room.name, identity=identity)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_AWAY_S):
                while identity in self._ctx.room.remote_participants and self._ctx.room.isconnected():
                    try:
                        await self._ctx.api.room.remove_participant(who)
                    except (api.TwirpError, aiohttp.ClientError, OSError) as error:
                        logger.info("a phone was not hung up", identity=identity, error=f"{type(error).__name__}: {error}")
                    await asyncio.sleep(_AGAIN_S)
                return
        logger.warning("a phone that took no call is still in the room", identity=identity)

    async def join(self, colleague: Colleague) -> bool:
        if colleague.left.is_set():
            return False
        await self._apart[colleague.identity].join()
        await self._stop_hold()
        try:
            self.has_left = await in_database(partial(hand_over, call_id=self._job.call_id, job_id=self._job.job_id))
        except Exception:
            # The journal tells it later; the two are talking already.
            logger.exception("a call that was handed over could not be noted as such")
            self.has_left = True
        return self.has_left


def _now() -> str:
    return datetime.now(UTC).isoformat()
