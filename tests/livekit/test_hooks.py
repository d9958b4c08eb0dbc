"""What the real server says of its rooms, sent to the platform's own web process."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from calls.clock import database_now
from calls.models import ProviderEvent
from calls.telephony import events
from calls.telephony.client import LiveKit, connected
from tests.livekit.conftest import VALUES
from tests.livekit.rig import Carrier
from voice_worker.tests.failing import until as wait_for
from voiceplatform.embedded.services import SERVICES
from voiceplatform.embedded.supervisor import Supervisor

CALLER = "+12025550001"
BOOK = {"numbers": {CALLER: {"after_s": 0.1}}}


@pytest.fixture
def talking(server_program: Path, live_server: Any) -> Iterator[Supervisor]:
    """A server that knows where our web process is."""
    path = Path(tempfile.mkdtemp(prefix="vp-"))
    with Supervisor(path, SERVICES, values={**VALUES, "VP_WEB_URL": live_server.url}) as supervisor:
        supervisor.start(["valkey", "livekit"])
        yield supervisor
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def livekit(talking: Supervisor, settings: Any) -> Iterator[LiveKit]:
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        setattr(settings, name, talking.exports[name])
    with connected() as livekit:
        yield livekit


def kinds() -> set[str]:
    return set(ProviderEvent.objects.values_list("kind", flat=True))


def test_the_course_of_a_call_is_told(livekit: LiveKit, talking: Supervisor) -> None:
    rule = api.SIPDispatchRule(dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix="in"))
    info = api.SIPDispatchRuleInfo(name="all", rule=rule)
    livekit.ask(lambda lk: lk.sip.create_dispatch_rule(api.CreateSIPDispatchRuleRequest(dispatch_rule=info)))
    with Carrier(talking, book=BOOK) as carrier:
        asyncio.run(carrier.do("call", caller=CALLER, called="+12025559000", patience_s=1))
        [ringing] = [line for line in carrier.leg(to="+12025559000") if line["event"] == "ringing"]
    livekit.ask(lambda lk: lk.room.delete_room(api.DeleteRoomRequest(room=ringing["room"])))
    wait_for(lambda: kinds() >= {"room_started", "participant_joined", "participant_left", "room_finished"}, timeout_s=15)
    left = ProviderEvent.objects.get(kind="participant_left")
    assert (left.room, left.provider) == (ringing["room"], "livekit")
    assert (left.body["participant"]["kind"], left.body["participant"]["identity"]) == ("SIP", f"sip_{CALLER}")
    assert abs((database_now() - left.at).total_seconds()) < 30
    assert "password" not in str(list(ProviderEvent.objects.values_list("body", flat=True)))
    assert events.handle_events() == 0, "there may be a call yet"
