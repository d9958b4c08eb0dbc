"""Sending: quick and silent when the broker is away, and nothing but a name, arguments and a tenant."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from voiceplatform.lib import broker

Sent = Callable[[], list[dict[str, Any]]]


def test_a_message_names_its_task_arguments_and_tenant(sent_messages: Sent) -> None:
    tenant_id = uuid4()
    assert broker.send("some.task", args=["x", 1], tenant_id=tenant_id) is True
    (message,) = sent_messages()
    assert (message["task"], message["args"]) == ("some.task", ["x", 1])
    assert message["headers"][broker.TENANT_HEADER] == str(tenant_id)


@pytest.mark.parametrize(("url", "within_s"), [("redis://127.0.0.1:1/0", 1.0), ("redis://nowhere.invalid:6379/0", 2.5)])
def test_a_broker_that_is_away_is_reported_and_left_alone(
    settings: Any, sent_messages: Sent, url: str, within_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    there, settings.REDIS_URL = settings.REDIS_URL, url
    began = time.monotonic()
    assert [broker.send("some.task") for _ in range(20)] == [False] * 20
    assert time.monotonic() - began < within_s
    assert caplog.text.count("broker did not take a message") == 1
    settings.REDIS_URL = there
    assert broker.send("some.task") is False


def test_a_broker_that_came_back_is_used_again(settings: Any, sent_messages: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    there, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    monkeypatch.setattr(broker, "REST_S", 0.05)
    assert broker.send("some.task") is False
    time.sleep(0.1)
    settings.REDIS_URL = there
    assert broker.send("some.task") is True
    assert len(sent_messages()) == 1


def test_a_silent_broker_costs_a_second_or_two(settings: Any, silent_port: int) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{silent_port}/0"
    began = time.monotonic()
    assert broker.send("some.task") is False
    assert time.monotonic() - began < 2.5


@pytest.mark.django_db(transaction=True)
def test_on_commit_means_after_the_commit_and_never_otherwise(sent_messages: Sent) -> None:
    with transaction.atomic():
        broker.send_on_commit("lost.task")
        transaction.set_rollback(True)
    with transaction.atomic():
        broker.send_on_commit("kept.task")
        assert sent_messages() == []
    assert [message["task"] for message in sent_messages()] == ["kept.task"]
