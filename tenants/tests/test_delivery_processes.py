"""Delivery by several processes, with one killed, and with the broker away."""

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.conf import settings as django_settings
from django.db import transaction
from django.utils import timezone

from tenants.models import OutboxDelivery, OutboxEvent, Tenant, TenantFeature
from tenants.services import delivery
from tenants.services.features import set_feature
from tenants.testing import WaitingProcesses, go
from voiceplatform.lib import broker

pytestmark = pytest.mark.django_db(transaction=True)
rows = OutboxDelivery.all_objects


@pytest.fixture
def start(waiting_processes: WaitingProcesses, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a draining process; a line to its stdin lets it go."""
    return lambda mode: waiting_processes.start("tenants.tests.drain_process", mode, str(tmp_path / "lines"))


@pytest.mark.parametrize("mode", ["rows", "lines"])
def test_racing_drains_run_each_event_once_and_in_order(
    listen: Callable[..., None], happen: Callable[..., OutboxEvent], start: Callable[..., Any], tmp_path: Path, mode: str
) -> None:
    listen(lambda _event: None)
    things = [uuid4() for _ in range(6)]
    expected = [f"{happen(thing).object_id.hex}:{number}" for number in range(1, 11) for thing in things]
    processes = [start(mode) for _ in range(3)]
    go(*processes)
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    if mode == "rows":
        keys = TenantFeature.all_objects.order_by("updated_at").values_list("feature_key", flat=True)
        ran = [key.rpartition(":")[0] for key in keys]
    else:
        ran = (tmp_path / "lines").read_text().split()
    assert Counter(ran) == Counter(expected)
    for thing in things:
        assert [key for key in ran if key.startswith(thing.hex)] == [f"{thing.hex}:{number}" for number in range(1, 11)]
    assert set(rows.values_list("status", flat=True)) == {"done"}
    assert set(rows.values_list("attempts", flat=True)) == {1}


def test_a_process_killed_in_a_handler_leaves_nothing_half_done(
    listen: Callable[..., None], happen: Callable[..., OutboxEvent], start: Callable[..., Any], tmp_path: Path
) -> None:
    told: list[int] = []
    listen(lambda event: told.append(event.sequence))
    happen()
    process = start("hang")
    go(process)
    ends = time.monotonic() + 20
    while not (tmp_path / "lines").exists() and time.monotonic() < ends:
        time.sleep(0.05)
    assert delivery.drain() == 0, "it is leased"
    process.kill()
    process.wait()
    assert (rows.get().status, rows.get().attempts, told) == ("pending", 1, [])
    assert delivery.drain() == 0, "its lease still runs"
    rows.update(leased_until=timezone.now())
    assert delivery.drain() == 1
    assert (TenantFeature.all_objects.count(), told, rows.get().status) == (0, [1], "done")


def test_a_running_handler_is_not_joined_by_another_when_its_lease_ends(
    listen: Callable[..., None], happen: Callable[..., OutboxEvent], start: Callable[..., Any], tmp_path: Path
) -> None:
    listen(lambda _event: None)
    happen()
    go(start("hang"))
    ends = time.monotonic() + 20
    while not (tmp_path / "lines").exists() and time.monotonic() < ends:
        time.sleep(0.05)
    later = timezone.now() + delivery.LEASE * 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "Now", lambda: later)
        assert delivery.drain() == 0


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "silent"])
def test_work_commits_at_once_while_the_broker_is_away(
    listen: Callable[..., None], happen: Callable[..., OutboxEvent], settings: Any, silent_port: int, url: str, caplog: Any
) -> None:
    listen(lambda _event: None)
    settings.REDIS_URL = f"redis://127.0.0.1:{silent_port}/0" if url == "silent" else url
    began = time.monotonic()
    for _ in range(10):
        happen()
    assert time.monotonic() - began < 3
    assert caplog.text.count("broker did not take a message") == 1
    assert delivery.drain() == 10


def test_a_flushed_broker_loses_nothing(
    listen: Callable[..., None], happen: Callable[..., OutboxEvent], sent_messages: Callable[[], list[dict[str, Any]]]
) -> None:
    listen(lambda _event: None)
    happen()
    with redis.Redis.from_url(django_settings.REDIS_URL) as client:
        client.flushdb()
    assert sent_messages() == []
    assert delivery.sweep() is True
    assert [message["task"] for message in sent_messages()] == ["tenants.tasks.drain_outbox"]


def test_the_feature_switch_commits_without_a_broker(scope: Tenant, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    set_feature(key="call-recording", enabled=False)
    with transaction.atomic():
        broker.send_on_commit("tenants.tasks.drain_outbox")
    assert TenantFeature.objects.get().enabled is False
