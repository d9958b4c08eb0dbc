"""Web calls on the real server, with participants of the SDK as browsers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from livekit import api, rtc

from agents.testing import make_agent
from calls.models import Call, CallEvent, Leg
from calls.services import dispatching
from calls.services.commands import request_hang_up
from calls.services.web_calls import Entry, let_in, place_web
from calls.telephony import rooms
from calls.telephony.names import BROWSER
from calls.telephony.tokens import speakers_token
from tenants.models import Tenant
from tests.livekit import recorded
from tests.livekit.browsers import Browser
from tests.livekit.platform import Caretaker, Worker, as_tenant, call_is, in_db
from tests.livekit.rig import Person, until
from voice_worker.browser_ends import RETURNS_S
from voice_worker.recording import CALLER

GREETED, SAYS, OTHER = 30, 47, 53
GREETING = "Hello there. This is 700 Hz, for as long as it takes to say so."
SETTINGS = {"opening": {"greeting": GREETING}, "limits": {"silence_prompt_after_s": 60}}


@pytest.fixture(autouse=True)
def public(server: Any, settings: Any) -> None:
    settings.LIVEKIT_PUBLIC_URL = server.exports["LIVEKIT_URL"]


async def placed(tenant: Tenant) -> tuple[Call, Entry]:
    def place() -> tuple[Call, Entry]:
        call = place_web(agent=make_agent(settings=SETTINGS), kind="web")
        return call, let_in(call)

    return await as_tenant(tenant, place)


@asynccontextmanager
async def browser(entry: Entry, *, says: int | None = SAYS) -> AsyncIterator[Person]:
    person = Person()
    await person.room.connect(entry.url, entry.token)
    try:
        await person.publish(token=says)
        yield person
    finally:
        await person.leave()


async def rows(tenant: Tenant, call: Call) -> Any:
    def read() -> Any:
        kinds = list(CallEvent.objects.filter(call=call).values_list("kind", flat=True))
        return list(call.turns.values_list("speaker", "text")), list(Leg.objects.filter(call=call)), kinds

    return await as_tenant(tenant, read)


async def talking(tenant: Tenant, call: Call, *, seconds: float = 30) -> None:
    """Once the agent has greeted."""
    deadline = time.monotonic() + seconds
    while ("agent", GREETING) not in (await rows(tenant, call))[0]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_a_browser_joins_is_greeted_and_leaves(caller: Tenant, worker: Worker, lk: api.LiveKitAPI) -> None:
    call, entry = await placed(caller)
    async with Caretaker():
        async with browser(entry) as person:
            await talking(caller, call)
            agents = [who.kind for who in person.room.remote_participants.values()]
            assert agents == [rtc.ParticipantKind.PARTICIPANT_KIND_AGENT]
            await until(lambda: GREETED in person.tokens)
        ended = await call_is(caller, call.pk, "ended")
        assert (ended.disposition, ended.ended_reason) == ("completed", "caller_hung_up")
        _, [leg], _ = await rows(caller, call)
        assert (leg.identity, leg.role, leg.phone, leg.end_reason) == (BROWSER, "caller", "", "hung_up")
        await asyncio.sleep(1)
    assert await recorded.tokens(worker, caller, call, channel=CALLER) == [SAYS]
    assert call.room not in [room.name for room in (await lk.room.list_rooms(api.ListRoomsRequest())).rooms]


async def test_another_tab_takes_over(caller: Tenant, worker: Worker) -> None:
    call, entry = await placed(caller)
    async with Caretaker(), browser(entry) as first:
        await talking(caller, call)
        gone: list[int] = []
        first.room.on("disconnected", lambda reason: gone.append(int(reason)))
        async with browser(entry, says=OTHER):
            await until(lambda: gone)
            assert gone == [rtc.DisconnectReason.DUPLICATE_IDENTITY]
            await asyncio.sleep(3)
            assert "caller_rejoined" in (await rows(caller, call))[2]
            await call_is(caller, call.pk, "in_progress", seconds=1)
        ended = await call_is(caller, call.pk, "ended")
        assert (ended.disposition, ended.ended_reason) == ("completed", "caller_hung_up")
    assert await recorded.tokens(worker, caller, call, channel=CALLER) == [SAYS, OTHER]


async def cut_off(lk: api.LiveKitAPI, call: Call, browser: Browser) -> None:
    """Kill a browser; returns when the server has noticed."""

    async def is_gone() -> bool:
        found = await lk.room.list_participants(api.ListParticipantsRequest(room=call.room))
        return BROWSER not in [who.identity for who in found.participants]

    browser.kill()
    await until(is_gone, seconds=60)


async def test_who_is_cut_off_can_come_back(caller: Tenant, worker: Worker, lk: api.LiveKitAPI) -> None:
    call, entry = await placed(caller)
    with Browser(entry.url, entry.token, says=SAYS) as first:
        await first.tells("sid")
        assert await in_db(dispatching.dispatch_joined, [call.room]) == 1
        await talking(caller, call)
        await cut_off(lk, call, first)
    await call_is(caller, call.pk, "in_progress", seconds=1)
    async with browser(entry, says=OTHER):
        await asyncio.sleep(RETURNS_S + 2)
        await call_is(caller, call.pk, "in_progress", seconds=1)
    ended = await call_is(caller, call.pk, "ended")
    assert (ended.disposition, ended.ended_reason) == ("completed", "caller_hung_up")
    assert "caller_rejoined" in (await rows(caller, call))[2]


async def test_who_does_not_come_back_is_not_waited_for_long(caller: Tenant, worker: Worker, lk: api.LiveKitAPI) -> None:
    call, entry = await placed(caller)
    with Browser(entry.url, entry.token) as only:
        await only.tells("sid")
        assert await in_db(dispatching.dispatch_joined, [call.room]) == 1
        await talking(caller, call)
        await cut_off(lk, call, only)
    ended = await call_is(caller, call.pk, "ended", seconds=RETURNS_S + 10)
    assert ended.ended_reason == "connection_lost"
    _, [leg], _ = await rows(caller, call)
    assert leg.end_reason == "connection_lost"


async def test_who_leaves_at_once_is_not_waited_for_long(caller: Tenant, worker: Worker) -> None:
    call, entry = await placed(caller)
    async with browser(entry, says=None):
        assert await in_db(dispatching.dispatch_joined, [call.room]) == 1
    ended = await call_is(caller, call.pk, "ended", seconds=30)
    assert ended.ended_reason == "caller_hung_up"
    assert ended.disposition in ("canceled", "completed")


async def test_an_entry_admits_to_its_room_for_a_minute(caller: Tenant, lk: api.LiveKitAPI) -> None:
    call, entry = await placed(caller)
    late = speakers_token(room=call.room, identity=BROWSER, ttl=-timedelta(seconds=90))
    forged = entry.token[:-4] + ("AAAA" if not entry.token.endswith("AAAA") else "BBBB")
    for token in (late, forged):
        with pytest.raises(rtc.ConnectError):
            await rtc.Room().connect(entry.url, token)
    elsewhere = rtc.Room()
    await elsewhere.connect(f"{entry.url}?room=web-other", entry.token)
    assert elsewhere.name == call.room
    await elsewhere.disconnect()


async def test_an_entry_to_a_call_that_has_ended_opens_nothing(caller: Tenant, lk: api.LiveKitAPI) -> None:
    call, entry = await placed(caller)
    await as_tenant(caller, request_hang_up, call)
    async with browser(entry, says=None) as person:
        gone: list[int] = []
        person.room.on("disconnected", lambda reason: gone.append(int(reason)))
        assert (await in_db(rooms.reconcile_rooms)).begun == 0
        await until(lambda: gone)
    await call_is(caller, call.pk, "ended", seconds=1)
