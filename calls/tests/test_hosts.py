import pytest

from calls.clock import database_now
from calls.errors import UnknownHostError
from calls.services import hosts, local_queue
from voiceplatform.lib.ids import uuid7

pytestmark = pytest.mark.django_db


def test_a_host_keeps_its_last_two_beats() -> None:
    host = hosts.register_host(name="voice-1:42", transport="local", slots=2)
    call_id = uuid7()
    hosts.beat_host(host_id=host.pk, job_ids=["b", "a"], spooled_call_ids=[call_id])
    host.refresh_from_db()
    first = host.last_beat_at
    hosts.beat_host(host_id=host.pk, job_ids=["c"])
    host.refresh_from_db()
    assert (host.previous_job_ids, host.job_ids, host.spooled_call_ids) == (["a", "b"], ["c"], [])
    assert host.previous_beat_at == first < host.last_beat_at <= database_now()


def test_a_retired_host_beats_and_takes_no_more() -> None:
    host = hosts.register_host(name="voice-1:42", transport="local", slots=2)
    assert hosts.retire_host(host_id=host.pk)
    assert not hosts.retire_host(host_id=host.pk)
    for host_id in (host.pk, uuid7()):
        with pytest.raises(UnknownHostError):
            hosts.beat_host(host_id=host_id)
        with pytest.raises(UnknownHostError):
            local_queue.take_local_calls(host_id=host_id, limit=1)


def test_a_host_tells_how_it_is() -> None:
    host = hosts.register_host(name="voice-1:42", transport="livekit", slots=2, versions={"python": "3.11.9"})
    hosts.beat_host(host_id=host.pk, condition={"draining": True, "memory_mb": 300, "peak_job_mb": 200})
    hosts.beat_host(host_id=host.pk, condition={"draining": False, "memory_mb": 0, "peak_job_mb": 90})
    hosts.beat_host(host_id=host.pk)
    host.refresh_from_db()
    assert (host.draining, host.memory_mb, host.peak_job_mb, host.versions) == (True, 0, 200, {"python": "3.11.9"})


def test_an_unknown_transport_is_refused() -> None:
    with pytest.raises(ValueError, match="pigeon"):
        hosts.register_host(name="x", transport="pigeon", slots=1)
