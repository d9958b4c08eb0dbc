"""Jobs of people who call in: who answers is found out while the phone rings."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from livekit import rtc
from livekit.agents import JobContext

from calls.services.ending import end_call
from calls.services.inbound import Answer, Ringing, note_heard, receive_call
from voice_worker.database import in_database
from voice_worker.line import NotPutThroughError
from voice_worker.notice import speak_notice
from voice_worker.referring import RoomRefer
from voice_worker.rooms import close_room, join

logger = structlog.get_logger(__name__)

COMES_S: Final = 15.0
TROUBLE: Final = "I am sorry, we have technical trouble. Please call again later. Goodbye."
FULL: Final = "full-"
"""How the identity begins of a job on the host's last place, which only says that all are busy."""


async def received(ctx: JobContext, number_id: UUID | None) -> UUID | None:
    """The call that is to be held; None when everything is done: something was said, or the caller was put through."""
    try:
        await join(ctx)
        async with asyncio.timeout(COMES_S):
            caller = await ctx.wait_for_participant(kind=rtc.ParticipantKind.PARTICIPANT_KIND_SIP)
        known = caller.attributes
        ringing = Ringing(
            room=ctx.job.room.name,
            caller=known.get("sip.phoneNumber", "")[:40],
            called=known.get("sip.trunkPhoneNumber", "")[:40],
            carrier_id=known.get("sip.callID", ""),
            identity=caller.identity,
        )
        is_full = ctx.local_participant_identity.startswith(FULL)
        answer = await in_database(partial(receive_call, number_id=number_id, ringing=ringing, is_full=is_full))
    except Exception:
        logger.exception("a call could not be received")
        await _without_agent(ctx, None, Answer(sentence=TROUBLE))
        return None
    if answer.call_id and not answer.forward_to:
        return answer.call_id
    await _without_agent(ctx, caller, answer)
    return None


async def _without_agent(ctx: JobContext, caller: rtc.RemoteParticipant | None, answer: Answer) -> None:
    heard_at: list[datetime] = []
    try:
        if caller and answer.forward_to and await _put_through(ctx, caller, answer.forward_to, heard_at.append):
            await _ended(answer, "transferred", "forwarded")
        else:
            if answer.sentence:
                await speak_notice(ctx, answer.sentence, speaking=answer.speaking, on_heard=heard_at.append)
            await _ended(answer, "failed", "not_forwarded")
    finally:
        try:
            if heard_at:
                room, now = ctx.job.room.name, datetime.now(UTC)
                await in_database(partial(note_heard, room=room, answered_at=heard_at[0], ended_at=now))
        finally:
            await close_room(ctx)


async def _ended(answer: Answer, disposition: str, reason: str) -> None:
    if answer.call_id:
        await in_database(partial(end_call, call_id=answer.call_id, disposition=disposition, ended_reason=reason))


async def _put_through(ctx: JobContext, caller: rtc.RemoteParticipant, phone: str, on_heard: Callable[[datetime], None]) -> bool:
    """By REFER, which only a call that was answered can have."""
    await speak_notice(ctx, "One moment, please.", speaking={}, on_heard=on_heard)
    try:
        await RoomRefer(ctx, caller.identity)(phone)
    except NotPutThroughError:
        return False
    return True
