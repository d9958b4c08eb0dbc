"""The LiveKit server under the supervisor, and how its program is found or built."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from livekit import api

from tests.embedded.conftest import alive, until
from tests.livekit.conftest import VALUES
from voice_worker.simulation.carrier.control import ControlError, request
from voiceplatform.embedded.environment import PROJECT
from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.home import read_json
from voiceplatform.embedded.livekit import program
from voiceplatform.embedded.livekit.service import configuration
from voiceplatform.embedded.services import SERVICES
from voiceplatform.embedded.supervisor import Supervisor

GO = """#!/bin/sh
[ -n "$FAKE_GO_SLEEPS" ] && { touch "$GOTMPDIR/begun"; sleep 60; }
[ -n "$FAKE_GO_FAILS" ] && { echo "no such module" >&2; exit 1; }
mkdir -p "$GOBIN" && printf '#!/bin/sh\\necho livekit-server version 1.13.5' > "$GOBIN/server" && chmod +x "$GOBIN/server"
"""


@pytest.fixture
def go(tmp_path: Path) -> dict[str, str]:
    """An environment in which the only Go is one that builds at once."""
    (tmp_path / "path").mkdir()
    fake = tmp_path / "path" / "go"
    fake.write_text(GO)
    fake.chmod(0o755)
    for name in ("sh", "mkdir", "chmod", "touch", "sleep"):
        (tmp_path / "path" / name).symlink_to(Path("/bin") / name)
    return {"PATH": str(tmp_path / "path")}


def test_a_stop_leaves_nothing_running_and_a_start_brings_the_same_back(server_program: Path, home: Path):
    with Supervisor(home, SERVICES, values=VALUES) as first:
        first.start(["valkey", "livekit"])
        pid = read_json(first.home.state_file)["livekit"]["pid"]
        assert first.home.read_env()["LIVEKIT_URL"] == first.urls["livekit"]
    assert not alive(pid)
    with Supervisor(home, SERVICES, values=VALUES) as second:
        second.start(["valkey", "livekit"])
        assert {k: v for k, v in second.exports.items() if k != "VP_SUPERVISOR_PID"} == {
            k: v for k, v in first.exports.items() if k != "VP_SUPERVISOR_PID"
        }


async def test_killed_it_comes_back_and_keeps_its_trunks(server: Supervisor, lk: api.LiveKitAPI):
    trunk = api.SIPOutboundTrunkInfo(name="kept", address="sip.example.com", numbers=["+12025550000"])
    made = await lk.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=trunk))
    old = read_json(server.home.state_file)["livekit"]["pid"]
    os.kill(old, signal.SIGKILL)
    until(lambda: (now := read_json(server.home.state_file).get("livekit", {})).get("ready") and now["pid"] != old)
    async with api.LiveKitAPI(*(server.exports[f"LIVEKIT_{name}"] for name in ("URL", "API_KEY", "API_SECRET"))) as again:
        found = await again.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest(trunk_ids=[made.sip_trunk_id]))
        await again.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=made.sip_trunk_id))
    assert [item.name for item in found.items] == ["kept"]


def test_its_secrets_are_on_no_command_line_and_in_private_files(server: Supervisor):
    pid, secrets = read_json(server.home.state_file)["livekit"]["pid"], server.home.secrets()
    shown = Path(f"/proc/{pid}/cmdline").read_text() + (server.home.logs / "livekit.log").read_text()
    assert [word for word in (secrets.livekit_api_secret, secrets.valkey_password) if word in shown] == []
    assert stat.S_IMODE((server.home.run / "livekit.json").stat().st_mode) == 0o600


async def test_a_wrong_key_is_refused(server: Supervisor):
    async with api.LiveKitAPI(server.exports["LIVEKIT_URL"], server.exports["LIVEKIT_API_KEY"], "guess" * 8) as stranger:
        with pytest.raises(api.TwirpError, match="401"):
            await stranger.room.list_rooms(api.ListRoomsRequest())


def test_the_broker_is_named_with_all_its_parts():
    made = configuration(port=1, tcp_port=2, udp_port=3, key="k", secret="s", redis_url="rediss://u:p%40@h:6380/2")
    assert made["redis"] == {"address": "h:6380", "db": 2, "username": "u", "password": "p@", "use_tls": True}
    assert "webhook" not in made
    made = configuration(port=1, tcp_port=2, udp_port=3, key="k", secret="s", redis_url="redis://h", web_url="http://w:8000/")
    assert made["webhook"] == {"api_key": "k", "urls": ["http://w:8000/hooks/livekit"]}


async def test_without_a_carrier_the_command_line_says_so(server: Supervisor):
    with pytest.raises(ControlError, match=r"manage.py run_simulated_carrier"):
        await request(server.exports["REDIS_URL"], "legs")


def test_a_given_program_comes_first_and_must_be_one(tmp_path: Path, go):
    given = tmp_path / "mine"
    with pytest.raises(EmbeddedError, match=r"LIVEKIT_SERVER_BIN=.*/mine is not a program"):
        program.find({**go, "LIVEKIT_SERVER_BIN": str(given)}, folder=tmp_path)
    given.write_text("")
    given.chmod(0o755)
    assert program.find({**go, "LIVEKIT_SERVER_BIN": str(given)}, folder=tmp_path) == given


def test_it_is_built_once_and_leaves_only_the_program(tmp_path: Path, go):
    folder = tmp_path / "bin"
    built = program.ensure(go, folder=folder)
    assert [path.name for path in folder.iterdir() if not path.name.startswith(".lock")] == [built.name]
    assert program.ensure({"PATH": ""}, folder=folder) == built


def test_without_go_it_says_how_else(tmp_path: Path):
    with pytest.raises(EmbeddedError, match=r"make livekit-server .* or set LIVEKIT_SERVER_BIN"):
        program.ensure({"PATH": str(tmp_path)}, folder=tmp_path / "bin")


def test_a_failed_build_is_told_and_leaves_nothing(tmp_path: Path, go):
    with pytest.raises(EmbeddedError, match="no such module"):
        program.ensure({**go, "FAKE_GO_FAILS": "1"}, folder=tmp_path / "bin")
    assert [path.name for path in (tmp_path / "bin").iterdir()] == [".lock"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_build_is_done_anew(tmp_path: Path, go, how):
    folder = tmp_path / "bin"
    line = (
        f"from pathlib import Path; from voiceplatform.embedded.livekit import program as p; from voiceplatform.embedded.process \
import interrupt_when_told_to_stop as i; i(); p.ensure({dict(go, FAKE_GO_SLEEPS='1')!r}, folder=Path({str(folder)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", line], cwd=PROJECT, stderr=subprocess.DEVNULL)
    until(lambda: list(folder.glob(".livekit-build-*/begun")))
    process.send_signal(how)
    assert process.wait(timeout=20) != 0
    if how is signal.SIGTERM:
        assert [path.name for path in folder.iterdir()] == [".lock"]
    program.ensure(go, folder=folder)
    assert sorted(path.name for path in folder.iterdir()) == [".lock", f"livekit-server-{program.VERSION}"]
