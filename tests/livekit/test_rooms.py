"""Rooms on the real server beside the calls they are for."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from livekit import api

from calls import handlers
from calls.clock import database_now
from calls.endings import why_it_ended
from calls.models import Call
from calls.services import end_call, sweeps
from calls.services.hosts import retire_host
from calls.telephony.client import LiveKit
from calls.telephony.rooms import LOST_FOR, Reconciled, close_room, reconcile_rooms
from calls.testing import make_call
from tenants.models import OutboxDelivery, OutboxEvent, Tenant
from tenants.scope import tenant_scope
from tenants.services import delivery

_numbers = count(1)


class Rooms:
    def __init__(self, livekit: LiveKit) -> None:
        self.livekit = livekit

    def open(self, name: str) -> str:
        self.livekit.ask(lambda lk: lk.room.create_room(api.CreateRoomRequest(name=name)), again=True)
        return name

    def names(self) -> set[str]:
        return {room.name for room in self.livekit.ask(lambda lk: lk.room.list_rooms(api.ListRoomsRequest()), again=True).rooms}


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
