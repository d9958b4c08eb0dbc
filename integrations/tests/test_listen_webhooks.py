"""The receiver for developers says what came and whether it holds."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from voiceplatform.lib.outbound_http import OutboundClient

PROJECT = Path(__file__).resolve().parents[2]
SECRET = "whsec_Zm9yIHRoZSB0ZXN0cyBvZiB0aGUgbGlzdGVuZXI="
BODY = '{"type":"call.ended","id":"evt_1","sequence":3}'
Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def listen(*options: str, secret: str = SECRET) -> tuple[subprocess.Popen[str], str]:
        env = {**os.environ, "VP_WEBHOOK_SECRET": secret, "DJANGO_SETTINGS_MODULE": "voiceplatform.settings.test"}
        command = [sys.executable, "manage.py", "listen_webhooks", "--port", "0", *options]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=PROJECT, env=env, text=True, stdout=pipe, stderr=pipe)
        started.append(process)
        assert process.stderr is not None
        line = process.stderr.readline()
        return process, line.removeprefix("listening on ").strip()

    yield listen
    for process in started:
        process.kill()
        process.communicate()


def post(url: str, *, secret: str = SECRET, body: str = BODY) -> int:
    now = datetime.now(UTC)
    signature = Webhook(secret).sign("evt_1", now, body)
    headers = {"Webhook-Id": "evt_1", "Webhook-Timestamp": str(int(now.timestamp())), "Webhook-Signature": signature}
    return OutboundClient(allow_loopback=True).post(url, body=body.encode(), headers=headers).status


def test_each_event_has_its_line_and_verdict(start: Start) -> None:
    process, url = start("--exit-after", "3")
    answers = [post(url), post(url, secret="whsec_c29tZXRoaW5nIGVsc2U="), post(url, body="no JSON")]
    assert answers == [200, 401, 401]
    output, _ = process.communicate(timeout=30)
    lines = [line.split(maxsplit=1)[1] for line in output.splitlines()]
    assert lines == ["call.ended evt_1 sequence 3 verified", "call.ended evt_1 sequence 3 FAILED", "- - sequence - FAILED"]
    assert process.returncode == 0


def test_it_can_fail_on_purpose(start: Start) -> None:
    process, url = start("--exit-after", "1", "--fail", "1")
    assert post(url) == 500
    assert "verified, answered 500" in process.communicate(timeout=30)[0]


@pytest.mark.parametrize("secret", ["", "whsec_%%%"])
def test_without_a_secret_it_says_what_to_give(start: Start, secret: str) -> None:
    process, line = start(secret=secret)
    assert "--secret or VP_WEBHOOK_SECRET" in line
    assert process.wait(timeout=30) == 1
