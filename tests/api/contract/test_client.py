"""A client that a generator makes of the OpenAPI document, used against the running platform."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from agents.testing import TEST_SETTINGS
from voice_worker.tests.failing import until
from voice_worker.tests.hosting import FakeSpeech, HostProcess

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]
PROJECT = Path(__file__).resolve().parents[3]
# What the generator has no type of its own for, and needs no help with.
CONFIG = "post_hooks: []\ncontent_type_overrides:\n  audio/ogg: application/octet-stream\n"
CALL_S = 60


@pytest.fixture(scope="module")
def client_package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    (folder / "config.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"]
    command += ["--path", PROJECT / "docs" / "openapi.yaml", "--config", folder / "config.yaml"]
    done = subprocess.run([*command, "--output-path", folder / "voice_client"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield importlib.import_module("voice_client")
    sys.path.remove(str(folder))


@pytest.fixture
def host(database_env, tmp_path):
    speech, spool = FakeSpeech(), tmp_path / "spool"
    env = {**database_env, "DJANGO_SETTINGS_MODULE": "tests.fakes.worker_settings", "VP_SPEECH_URL": speech.url}
    env |= {"VP_SPOOL": str(spool), "VP_FILES": str(tmp_path / "files"), "VP_LOCAL_CALLS": "1"}
    process = HostProcess(env, log=tmp_path / "host.log")
    yield process
    process.kill_all()
    speech.close()


def api(name):
    return importlib.import_module(f"voice_client.api.{name}")


def model(kind, /, **fields):
    return getattr(importlib.import_module("voice_client.models"), kind).from_dict(fields)


def test_a_simulated_call_is_placed_and_its_transcript_read(client_package, host, live_server, make_key, tenant):
    token = make_key(tenant).secret
    client = client_package.AuthenticatedClient(base_url=live_server.url, token=token, raise_on_unexpected_status=True)
    settings = {**TEST_SETTINGS, "opening": {"greeting": "Hello there."}}
    wanted = model("NewAgentRequest", name="Nora", settings=settings, tools={"end_call": {}})
    agent = api("agents.agents_create").sync(client=client, body=wanted)
    assert api("agents.agents_publish").sync(agent.id, client=client, body=model("PublishRequest")).published_version.number == 1
    wanted = model("NewCallRequest", agent_id=agent.id, kind="simulated", persona="says_little")
    placed = api("calls.calls_create").sync(client=client, body=wanted)
    until(lambda: api("calls.calls_retrieve").sync(placed.id, client=client).status == "ended", timeout_s=CALL_S)
    transcript = api("calls.calls_transcript").sync(placed.id, client=client)
    assert transcript.data[0].text == "Hello there."
    assert [turn.speaker for turn in transcript.data][:2] == ["agent", "caller"]
