"""The LiveKit server as far as it is not needed for it: connections that fail, names, sentences."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from livekit import api

from calls.errors import LiveKitDownError, LiveKitRefusedError, NoLiveKitError
from calls.models import PhoneNumber
from calls.telephony import likeness
from calls.telephony.client import connected
from calls.telephony.mirroring import sync_all
from calls.telephony.names import is_room_of_ours
from calls.telephony.rooms import Reconciled, reconcile_rooms
from calls.testing import make_number, make_trunk
from tenants.models import Tenant

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Type: application/protobuf\r\nContent-Length: 0\r\n\r\n"


def refusal(status: int, body: str) -> bytes:
    head = f"HTTP/1.1 {status} No\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


@contextmanager
def server(*answers: bytes) -> Iterator[str]:
    """Takes one connection for each answer, an empty one being none at all."""

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(timeout=5)


@pytest.fixture
def at(settings: Any) -> Callable[[str], None]:
    def use(url: str) -> None:
        settings.LIVEKIT_URL, settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET = url, "key", "secret" * 6

    return use


def rooms(**options: Any) -> list[Any]:
    with connected(timeout_s=1) as livekit:
        return list(livekit.ask(lambda lk: lk.room.list_rooms(api.ListRoomsRequest()), **options).rooms)


def test_without_a_server_there_is_nothing_to_ask(settings: Any, db: None) -> None:
    settings.LIVEKIT_URL = ""
    with pytest.raises(NoLiveKitError, match="LIVEKIT_URL is empty"):
        rooms()
    assert sync_all() is None
    settings.LIVEKIT_URL, settings.LIVEKIT_API_SECRET = "ws://127.0.0.1:1", ""
    with pytest.raises(NoLiveKitError, match="LIVEKIT_API_SECRET is empty"):
        rooms()


def test_a_server_that_is_down(at: Callable[[str], None], silent_port: int) -> None:
    at("ws://127.0.0.1:1")
    with pytest.raises(LiveKitDownError, match="cannot be reached"):
        rooms()
    at(f"ws://127.0.0.1:{silent_port}")
    with pytest.raises(LiveKitDownError, match="did not answer in time"):
        rooms()


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (401, "invalid token", LiveKitRefusedError, "LIVEKIT_API_KEY"),
        (400, '{"code": "invalid_argument", "msg": "Conflicting"}', LiveKitRefusedError, "Conflicting"),
        (503, '{"code": "unavailable", "msg": "no response from servers"}', LiveKitDownError, "no response from servers"),
    ],
)
def test_what_the_server_says_is_passed_on(at: Callable[[str], None], status: int, body: str, error: Any, says: str) -> None:
    with server(refusal(status, body)) as url:
        at(url)
        with pytest.raises(error, match=says):
            rooms()


def test_a_dead_connection_is_tried_again_only_where_that_is_safe(at: Callable[[str], None]) -> None:
    with server(b"", EMPTY) as url:
        at(url)
        assert rooms(again=True) == []
    with server(b"") as url:
        at(url)
        with pytest.raises(LiveKitDownError):
            rooms()


def test_a_room_that_cannot_be_closed_does_not_hold_up_the_others(at: Callable[[str], None], db: None) -> None:
    listed = api.ListRoomsResponse(rooms=[api.Room(name=f"out-{letter}") for letter in "ab"]).SerializeToString()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/protobuf\r\nContent-Length: {len(listed)}\r\nConnection: close\r\n\r\n"
    with server(head.encode() + listed, refusal(503, '{"code": "unavailable", "msg": "no node"}'), EMPTY) as url:
        at(url)
        assert reconcile_rooms() == Reconciled(closed=1)


def test_rooms_of_ours() -> None:
    names = ["in_+12025550001_x", "out-1", "in", "inn_1", "meeting", "xin_1"]
    assert [is_room_of_ours(name) for name in names] == [True, True, False, False, False, False]


def test_a_stamp_tells_who_changed_something(scope: Tenant) -> None:
    number: PhoneNumber = make_number(phone="+12025550100")
    ours = likeness.inbound_trunk(number)
    assert (likeness.changed_there(ours), likeness.row_of(ours, likeness.NUMBER)) == (False, number.pk)
    ours.allowed_addresses.append("10.0.0.0/8")
    assert likeness.changed_there(ours)
    for metadata in ("", "[]", "{", '{"number_id": 7}'):
        ours.metadata = metadata
        assert (likeness.row_of(ours, likeness.NUMBER), likeness.changed_there(ours)) == (None, True)


def test_a_password_is_in_no_sentence_and_no_stamp(scope: Tenant) -> None:
    trunk = make_trunk(auth_username="us", auth_password="s3cret")
    ours = likeness.outbound_trunk(trunk, ["+12025550100"])
    theirs = likeness.outbound_trunk(trunk, ["+12025550100"])
    theirs.auth_password = "guessed"
    assert likeness.differs(theirs, ours)
    assert likeness.describe(theirs, ours) == "The LiveKit server had another password."
    assert not likeness.changed_there(theirs)
