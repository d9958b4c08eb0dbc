"""The database, the broker and the LiveKit server go away under calls, and come back."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from calls.models import Call
from calls.telephony import mirroring
from tests.livekit.house import COMPLETED, House
from tests.livekit.platform import Worker, in_db
from tests.livekit.rig import Carrier, Gate, until
from tests.livekit.stores import OwnPostgres, has_come_back, kill, pid_of
from voice_worker.simulation.carrier.control import ControlError

QUICK = {"after_s": 0.2}
TALKS, HANGS_UP, SLOW = (f"+1202555010{n}" for n in (1, 2, 3))
BOOK = {
    "numbers": {
        TALKS: {"then": {"kind": "silence"}, **QUICK},
        HANGS_UP: {"hangs_up_after_s": 0.3, **QUICK},
        SLOW: {"after_s": 6, "hangs_up_after_s": 3},
    }
}
AWAY_S = 4


@pytest.fixture(scope="module")
def postgres() -> Iterator[OwnPostgres]:
    with OwnPostgres(Path(tempfile.mkdtemp(prefix="vp-"))) as running:
        yield running


@pytest.fixture
def database(transactional_db: None, postgres: OwnPostgres) -> Iterator[None]:
    """The platform's rows are where the tests may stop the server."""
    with postgres.in_use():
        yield


@pytest.mark.parametrize("when", ["while it is away", "afterwards"])
async def test_a_database_that_crashes_in_mid_call(
    carrier: Carrier, house: House, worker: Worker, postgres: OwnPostgres, when: str
):
    call = await house.dial(TALKS)
    await house.talks(call)
    await house.breaks(postgres.stop)
    await asyncio.sleep(AWAY_S)
    if when == "while it is away":
        await carrier.do("hang_up")
    postgres.start()
    if when == "afterwards":
        spoken = await house.said(call)
        await until(lambda: more(house, call, spoken))
        await house.lives(call)
        await carrier.do("hang_up")
    assert await house.ended(call) == COMPLETED, worker.said()
    await house.adds_up()
    # The agent asked whether anybody was there while nobody could take that down.
    assert len(await house.said(call)) >= 2


async def more(house: House, call: Call, spoken: list[str]) -> bool:
    return len(await house.said(call)) > len(spoken)


async def test_a_database_that_crashes_between_the_commit_and_the_invite(
    carrier: Carrier, house: House, server: Any, postgres: OwnPostgres
):
    gate = Gate(server)
    with Worker(server, LIVEKIT_URL=gate.url) as worker:
        call = await house.dial(TALKS)
        await until(gate.held.is_set, seconds=20)
        await house.is_at(call, "dialing", seconds=1)
        await house.breaks(postgres.stop)
        gate.let_through()
        await until(lambda: "answer" in carrier.events(room=call.room))
        await asyncio.sleep(AWAY_S)
        postgres.start()
        await house.talks(call)
        await house.lives(call)
        await carrier.do("hang_up")
        assert await house.ended(call) == COMPLETED, worker.said()
        await house.adds_up()
    gate.cut()


async def hangs_up(carrier: Carrier, call: Call) -> bool:
    """Whether the phone has; what a broker that was away is told may be lost, the answer too."""
    with suppress(ControlError, redis.RedisError, OSError):
        await carrier.do("hang_up", within_s=2)
    return carrier.events(room=call.room)[-1] == "end"


async def test_a_broker_that_is_killed_in_mid_call(carrier: Carrier, house: House, worker: Worker, server: Any):
    call = await house.dial(TALKS)
    await house.talks(call)
    old = pid_of(server, "valkey")
    await house.breaks(lambda: kill(server, "valkey"))
    await until(lambda: has_come_back(server, "valkey", from_pid=old), seconds=15)
    await asyncio.sleep(2)
    await house.lives(call)
    await until(lambda: hangs_up(carrier, call), seconds=15)
    assert await house.ended(call, seconds=40) == COMPLETED, worker.said()
    await in_db(mirroring.sync_all)
    assert await house.ended(await house.dial(HANGS_UP), seconds=40) == COMPLETED, worker.said()
    await house.adds_up()


async def test_a_broker_that_is_killed_while_a_phone_rings(house: House, worker: Worker, server: Any):
    call = await house.dial(SLOW)
    await house.is_at(call, "ringing")
    old = pid_of(server, "valkey")
    await house.breaks(lambda: kill(server, "valkey"))
    await until(lambda: has_come_back(server, "valkey", from_pid=old), seconds=15)
    assert await house.ended(call, seconds=40) == COMPLETED, worker.said()
    await house.adds_up()


async def test_a_broker_that_forgets_everything(carrier: Carrier, house: House, worker: Worker, server: Any):
    call = await house.dial(TALKS)
    await house.talks(call)
    with redis.Redis.from_url(server.exports["REDIS_URL"]) as client:
        client.flushall()
    await carrier.do("hang_up")
    assert await house.ended(call, seconds=40) == COMPLETED
    await in_db(mirroring.sync_all)
    assert await house.ended(await house.dial(HANGS_UP), seconds=40) == COMPLETED
    await house.adds_up()


async def test_a_livekit_server_that_is_killed_in_mid_call(house: House, worker: Worker, server: Any):
    call = await house.dial(TALKS)
    await house.talks(call)
    await house.breaks(lambda: kill(server, "livekit"))
    disposition, _ = await house.ended(call, seconds=60)
    assert disposition in {"failed", "completed"}
    assert await house.ended(await house.dial(HANGS_UP), seconds=60) == COMPLETED, worker.said()
    await house.adds_up()
