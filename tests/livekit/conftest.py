"""A LiveKit server of the test run's own, and a carrier for each file that says what its numbers do."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from calls.errors import LiveKitError
from calls.models import PhoneNumber, SipTrunk
from calls.telephony.client import LiveKit, connected
from calls.telephony.holdings import INBOUND, OUTBOUND, RULE, Holdings
from calls.testing import make_number, make_trunk
from tenants.models import Tenant
from tests.livekit.house import House
from tests.livekit.platform import Caretaker, Crew, Worker, as_tenant
from tests.livekit.rig import Carrier, Phones
from voiceplatform.embedded.livekit import program
from voiceplatform.embedded.services import SERVICES
from voiceplatform.embedded.supervisor import Supervisor

VALUES = {name: os.environ[name] for name in ("PATH", "LIVEKIT_SERVER_BIN") if name in os.environ}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Calls in real time get a second attempt on a machine that was too busy; whatever a fault does has to be right each time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.livekit)
            if not item.path.name.startswith("test_faults"):
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def server_program() -> Path:
    if path := program.find(VALUES):
        return path
    if os.environ.get("VP_REQUIRE_LIVEKIT") == "1":
        pytest.fail(program.HOW_TO_GET_IT)
    pytest.skip(program.HOW_TO_GET_IT)


@pytest.fixture
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="vp-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def server(server_program: Path) -> Iterator[Supervisor]:
    path = Path(tempfile.mkdtemp(prefix="vp-"))
    with Supervisor(path, SERVICES, values=VALUES) as supervisor:
        supervisor.start(["valkey", "livekit"])
        yield supervisor
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def carrier(request: Any, server: Supervisor) -> Iterator[Carrier]:
    """Runs with the BOOK of the test's module."""
    with Carrier(server, book=request.module.BOOK) as running:
        yield running


@pytest.fixture
async def lk(server: Supervisor) -> AsyncIterator[api.LiveKitAPI]:
    made = server.exports
    async with api.LiveKitAPI(made["LIVEKIT_URL"], made["LIVEKIT_API_KEY"], made["LIVEKIT_API_SECRET"]) as client:
        yield client


@pytest.fixture
async def phones(lk: api.LiveKitAPI, server: Supervisor) -> AsyncIterator[Phones]:
    """An outbound trunk, and people who join rooms."""
    phones = Phones(lk, server)
    await phones.open()
    yield phones
    await phones.close()


@pytest.fixture
def at_server(server: Supervisor, settings: Any) -> None:
    """The platform's settings name the server."""
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        setattr(settings, name, server.exports[name])


@pytest.fixture
def livekit(at_server: None) -> Iterator[LiveKit]:
    """The platform's own connection, with no trunk, rule or room on the server before and after the test."""
    with connected() as livekit:
        _empty(livekit)
        yield livekit
        _empty(livekit)


def _empty(livekit: LiveKit) -> None:
    for kind in (RULE, INBOUND, OUTBOUND):
        held = Holdings(livekit, kind)
        for item_id in list(held.items):
            held.delete(item_id)
    for room in livekit.ask(lambda lk: lk.room.list_rooms(api.ListRoomsRequest()), again=True).rooms:
        with suppress(LiveKitError):  # it may have closed meanwhile
            livekit.ask(lambda lk, name=room.name: lk.room.delete_room(api.DeleteRoomRequest(room=name)))


@pytest.fixture
def database(transactional_db: None) -> None:
    """Where the platform's rows are; a module that breaks it brings its own."""


@pytest.fixture
def caller(database: None, make_tenant: Any, at_server: None) -> Tenant:
    """A tenant that may call numbers of the United States."""
    return make_tenant(timezone="America/New_York")


@pytest.fixture(scope="module")
def crew(request: Any, server: Supervisor) -> Iterator[Crew]:
    """Runs in the WORKER environment of the test's module, if that has one."""
    crew = Crew(server, getattr(request.module, "WORKER", {}))
    yield crew
    crew.dismiss()


@pytest.fixture
def worker(caller: Tenant, crew: Crew) -> Iterator[Worker]:
    yield crew.worker()
    crew.rest()


@pytest.fixture
async def house(request: Any, caller: Tenant, lk: api.LiveKitAPI, carrier: Carrier, crew: Crew) -> AsyncIterator[House]:
    """Without any worker but those the test asks for."""
    if "worker" not in request.fixturenames:
        crew.dismiss()
    found = House(caller, lk, carrier)
    await found.build()
    async with Caretaker():
        yield found
    await found.pull_down()


@pytest.fixture
async def number(caller: Tenant, lk: api.LiveKitAPI) -> AsyncIterator[PhoneNumber]:
    """A number of the tenant's, over a trunk that the server knows."""
    info = api.SIPOutboundTrunkInfo(name="out", address="sip.example.com", numbers=["+12025559001"])
    made = await lk.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=info))

    def prepare() -> PhoneNumber:
        number = make_number(phone="+12025559001", trunk=make_trunk(cps=20))
        SipTrunk.objects.update(livekit_id=made.sip_trunk_id)
        return number

    yield await as_tenant(caller, prepare)
    await lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=made.sip_trunk_id))
