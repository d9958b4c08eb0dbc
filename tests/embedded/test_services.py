"""What the embedded profile consists of, and which of it starts where."""

from io import StringIO
from pathlib import Path

import pytest

from tests.embedded.conftest import VALUES, supervise
from tests.embedded.test_supervision import make, toy
from voiceplatform.embedded.console import Console
from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.service import Launch
from voiceplatform.embedded.services import SERVICES
from voiceplatform.embedded.supervisor import Supervisor

NAMES = [service.name for service in SERVICES]
THEIR_SERVER = {"LIVEKIT_URL": "wss://calls.example.com", "LIVEKIT_API_KEY": "APItheirs", "LIVEKIT_API_SECRET": "s" * 32}


def launch(name: str, supervisor: Supervisor) -> Launch:
    return SERVICES[NAMES.index(name)].launch(supervisor)


def test_what_others_wait_for_starts_before_them() -> None:
    for place, service in enumerate(SERVICES):
        assert set(service.after) <= set(NAMES[:place]), service.name
    assert NAMES[-3:] == ["host", "phone-host", "carrier"]
    assert set(SERVICES[-2].after) >= {"web", "livekit", "brain", "speech"}


def test_phones_are_not_needed() -> None:
    assert {service.name for service in SERVICES if service.optional} == {"brain", "speech", "livekit", "phone-host", "carrier"}


def test_what_needs_a_server_is_left_out_in_silence_where_there_is_none(home: Path) -> None:
    output = StringIO()
    late = toy("late", needs="EARLY_URL", after=("early",), optional=True)
    with make(home, [toy("early"), late], output) as supervisor:
        supervisor.start(["late"], strict=False)
        assert (supervisor.running(), output.getvalue()) == ([], "")
        with pytest.raises(EmbeddedError, match=r"late needs EARLY_URL\. Mend: set it"):
            supervisor.start(["late"])
        supervisor.start(["early", "late"])
        assert sorted(supervisor.running()) == ["early", "late"]


def test_without_a_livekit_server_one_line_says_how_to_get_it(home: Path, tmp_path: Path) -> None:
    output = StringIO()
    values = {**VALUES, "PATH": "/nowhere", "LIVEKIT_SERVER_BIN": str(tmp_path / "none")}
    with Supervisor(home, SERVICES, values=values, console=Console(output)) as supervisor:
        supervisor.start(["livekit", "phone-host", "carrier"], strict=False)
        assert supervisor.running() == []
    assert len(output.getvalue().splitlines()) == 1
    assert "livekit    not started: LIVEKIT_SERVER_BIN" in output.getvalue()


def test_a_server_of_the_users_own_gets_a_host_and_no_simulated_carrier(home: Path) -> None:
    output = StringIO()
    with Supervisor(home, SERVICES, values=VALUES | THEIR_SERVER, console=Console(output)) as supervisor:
        supervisor.start(["livekit", "carrier"], strict=False)
        assert supervisor.running() == []
        assert list(launch("phone-host", supervisor).argv[-4:]) == ["run_voice_worker", "--livekit", "--drain", "5"]
    assert "carrier    not started: LIVEKIT_URL is set" in output.getvalue()


def test_a_host_names_what_it_lacks(home: Path) -> None:
    supervisor = supervise(home, LIVEKIT_URL="wss://calls.example.com", LIVEKIT_API_KEY="APItheirs")
    with pytest.raises(EmbeddedError, match="phone-host needs LIVEKIT_API_SECRET beside LIVEKIT_URL"):
        launch("phone-host", supervisor)


def test_the_carrier_keeps_its_log_in_the_home_and_needs_a_broker(home: Path) -> None:
    supervisor = supervise(home, REDIS_URL="redis://127.0.0.1:1/0")
    assert launch("carrier", supervisor).argv[-2:] == ["--log", str(home.resolve() / "files" / "carrier" / "log.jsonl")]
    with pytest.raises(EmbeddedError, match="carrier needs a broker"):
        launch("carrier", supervise(home))
