"""Rooms on the real server beside the calls they are for."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from django.conf import settings
from livekit import api, rtc

from calls import handlers
from calls.clock import database_now
from calls.endings import why_it_ended
from calls.models import Call, LineSlot
from calls.services import end_call, sweeps
from calls.services.hosts import retire_host
from calls.telephony.client import LiveKit
from calls.telephony.rooms import LOST_FOR, Reconciled, close_room, reconcile_rooms
from calls.testing import make_call, make_number
from tenants.models import OutboxDelivery, OutboxEvent, Tenant
from tenants.scope import tenant_scope
from tenants.services import delivery
from tests.livekit.platform import in_db

_numbers = count(1)


class Rooms:
    """The rooms a test has opened: others of earlier calls may still be going."""

    def __init__(self, livekit: LiveKit) -> None:
        self.livekit = livekit
        self._opened: set[str] = set()

    def open(self, name: str) -> str:
        self._opened.add(name)
        self.livekit.ask(lambda lk: lk.room.create_room(api.CreateRoomRequest(name=name)), again=True)
        return name

    def names(self) -> set[str]:
        listed = self.livekit.ask(lambda lk: lk.room.list_rooms(api.ListRoomsRequest()), again=True).rooms
        return self._opened & {room.name for room in listed}


@pytest.fixture
def rooms(livekit: LiveKit) -> Rooms:
    return Rooms(livekit)


def in_room(status: str, **fields: Any) -> Call:
    call = make_call(kind="web", status=status, **fields)
    Call.objects.filter(pk=call.pk).update(room=f"out-{next(_numbers)}")
    call.refresh_from_db()
    return call


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_a_room_that_is_gone_is_closed(rooms: Rooms) -> None:
    rooms.open("out-a")
    assert close_room("out-a")
    assert not close_room("out-a")
    assert rooms.names() == set()


def test_rooms_close_with_their_calls_and_others_stay(scope: Tenant, rooms: Rooms) -> None:
    ended, running, waiting, connected = (in_room(status) for status in ("ended", "in_progress", "dispatched", "in_progress"))
    Call.objects.filter(pk=connected.pk).update(status="handed_over")
    for call in (ended, running, waiting, connected):
        rooms.open(call.room)
    kept = {running.room, waiting.room, connected.room, rooms.open("in_+12025550001_x"), rooms.open("meeting")}
    assert reconcile_rooms() == Reconciled(closed=1, lost=0)
    assert rooms.names() == kept
    connected.refresh_from_db()
    assert connected.status == "handed_over", "it was claimed just now"
    assert reconcile_rooms(now=database_now() + seconds(61)) == Reconciled(closed=1, lost=0)
    assert rooms.names() == kept - {"in_+12025550001_x"}


def late(call: Call) -> datetime:
    assert call.claimed_at
    return call.claimed_at + seconds(20)


def test_a_call_without_a_room_is_left_to_its_job(scope: Tenant, rooms: Rooms) -> None:
    call = in_room("in_progress")
    assert reconcile_rooms(now=late(call)) == Reconciled()
    assert call.host_id
    retire_host(host_id=call.host_id)
    assert reconcile_rooms(now=call.claimed_at + LOST_FOR - seconds(1)) == Reconciled()
    assert reconcile_rooms(now=late(call)) == Reconciled(lost=1)
    call.refresh_from_db()
    assert (call.status, call.disposition, call.ended_reason) == ("ended", "failed", "room_lost")
    assert "room was gone" in why_it_ended(call)


def test_a_call_without_a_job_that_has_a_room_is_for_the_sweep(scope: Tenant, rooms: Rooms) -> None:
    call = in_room("in_progress")
    rooms.open(call.room)
    assert call.host_id
    retire_host(host_id=call.host_id)
    assert reconcile_rooms(now=late(call)) == Reconciled()
    assert sweeps.sweep(now=late(call)).lost == 1


def test_the_news_of_an_end_closes_the_room(
    make_tenant: Callable[..., Tenant], transactional_db: None, rooms: Rooms, default_rates: None
) -> None:
    with tenant_scope(make_tenant()):
        call = in_room("in_progress")
        rooms.open(call.room)
        end_call(call_id=call.pk, disposition="completed", ended_reason="caller_hung_up")
        event = OutboxEvent.objects.get(topic="call.ended")
    delivery.drain()
    assert rooms.names() == set()
    with tenant_scope(call.tenant_id):
        assert OutboxDelivery.objects.get(event=event, subscriber="calls.close_room").status == "done"
        handlers.close_room(delivery._event(OutboxDelivery.objects.select_related("event").get(event=event)))


def connected_pair() -> Call:
    """Two people whom an agent has connected, with a line; nobody is in their room yet."""
    call = in_room("in_progress")
    number = make_number()
    phone = {"kind": "outbound", "phone": "+12025550143", "transport": "livekit", "grant": number.grant}
    Call.objects.filter(pk=call.pk).update(status="handed_over", **phone)
    LineSlot.objects.create(call=call, grant=number.grant, role="callee", created_at=database_now())
    call.refresh_from_db()
    return call


def how(call: Call) -> tuple[str, str, str, int]:
    call.refresh_from_db()
    return call.status, call.disposition, call.ended_reason, LineSlot.objects.filter(call=call).count()


OVER = ("ended", "completed", "people_hung_up", 0)


def test_connected_people_whose_room_is_gone_have_hung_up(scope: Tenant, rooms: Rooms) -> None:
    call = connected_pair()
    assert call.claimed_at
    assert reconcile_rooms(now=call.claimed_at + LOST_FOR - seconds(1)) == Reconciled()
    assert reconcile_rooms(now=late(call)) == Reconciled(parted=1)
    assert how(call) == OVER
    assert why_it_ended(call) == "The two people whom the agent had connected have hung up."
    assert reconcile_rooms(now=late(call)) == Reconciled()


async def test_one_of_two_connected_people_is_nobody_to_talk_to(owner: Tenant, lk: api.LiveKitAPI, server: Any) -> None:
    call = await in_db(lambda: within(owner, connected_pair))
    people = {name: rtc.Room() for name in ("ann", "bob", "boss", "agent-1")}
    for name, room in people.items():
        await room.connect(server.exports["LIVEKIT_URL"], token(name, call.room, hidden=name == "boss"))
    reconcile = partial(reconcile_rooms, now=late(call))
    assert await asyncio.to_thread(reconcile) == Reconciled()
    await people["bob"].disconnect()
    assert await asyncio.to_thread(reconcile) == Reconciled(parted=1, closed=1)
    assert await in_db(lambda: within(owner, partial(how, call))) == OVER
    for room in people.values():
        await room.disconnect()


@pytest.fixture
def owner(transactional_db: None, make_tenant: Any, livekit: LiveKit) -> Tenant:
    made: Tenant = make_tenant()
    return made


def within(tenant: Tenant, function: Callable[[], Any]) -> Any:
    with tenant_scope(tenant):
        return function()


def token(name: str, room: str, *, hidden: bool) -> str:
    grants = api.VideoGrants(room_join=True, room=room, hidden=hidden, agent=name.startswith("agent"))
    made = api.AccessToken(settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET).with_identity(name).with_grants(grants)
    return made.with_kind("agent" if name.startswith("agent") else "standard").to_jwt()
