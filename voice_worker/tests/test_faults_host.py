"""A call's process, its host or the whole machine dies in mid-call: what is known by then is kept, and the call ends."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote
from uuid import UUID

import av
import pytest
from django.core.files.storage import storages
from django.db import connection, connections

from calls.clock import database_now
from calls.models import Call, SweepRun, WorkerHost
from calls.services.commands import request_hang_up
from calls.services.sweeps import sweep
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker import duties, heartbeat, livekit_host, local_host
from voice_worker.journal_file import NAME
from voice_worker.spool import Spool
from voice_worker.tests.calling import stored
from voice_worker.tests.chatting import answered, write
from voice_worker.tests.failing import Proxy, until
from voice_worker.tests.hosting import FakeSpeech, HostProcess, ending, place, place_chat, stored_recording, told

CONVERSES_S = 60.0
ANSWER = "I heard you. What else can I do for you?"
HANDS_IN_S = 40.0
pytestmark = pytest.mark.timeout(200)
Start = Callable[..., HostProcess]


@pytest.fixture
def speech() -> Iterator[FakeSpeech]:
    server = FakeSpeech()
    yield server
    server.close()


@pytest.fixture
def start_host(
    caller_tenant: Tenant, database_env: dict[str, str], spool: Path, speech: FakeSpeech, tmp_path: Path
) -> Iterator[Start]:
    """Starts hosts that see the test's database, spool and files; none of them outlives the test."""
    hosts: list[HostProcess] = []
    env = {**database_env, "DJANGO_SETTINGS_MODULE": "tests.fakes.worker_settings"}
    env |= {"VP_SPOOL": str(spool), "VP_FILES": str(tmp_path / "files"), "VP_SPEECH_URL": speech.url, "VP_LOCAL_CALLS": "1"}

    def start(**more: str) -> HostProcess:
        hosts.append(HostProcess({**env, **more}, log=tmp_path / f"host-{len(hosts)}.log"))
        return hosts[-1]

    yield start
    for host in hosts:
        host.kill_all()


def in_conversation(call_id: UUID, tenant: Tenant, *, turns: int = 3) -> list[tuple[int, str, str]]:
    """What had been said, and stored, by the time that many turns were over."""
    enough = partial(stored, call_id, tenant, lambda call: told(call) if call.turns.count() >= turns else None)
    return until(enough, timeout_s=CONVERSES_S)


def seconds_since_answer(call_id: UUID, tenant: Tenant) -> float:
    return stored(call_id, tenant, lambda call: (database_now() - call.answered_at).total_seconds())


def assert_handed_in(call_id: UUID, tenant: Tenant, *, seconds: float) -> None:
    """Finalised, and recorded up to nearly the last moment."""
    recording = until(partial(stored, call_id, tenant, stored_recording), timeout_s=HANDS_IN_S)
    with storages["recordings"].open(recording.file) as file, av.open(file) as container:
        played = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert played > max(1.0, seconds - 2.0)
    assert recording.duration_ms == pytest.approx(played * 1000, abs=100)
    assert stored(call_id, tenant, lambda call: call.events.filter(kind="finalized").count()) == 1
    assert stored(call_id, tenant, lambda call: call.events.filter(kind="ended").count()) == 1


def test_a_killed_job_leaves_its_turns_and_its_recording(caller_tenant: Tenant, start_host: Start) -> None:
    host, call_id = start_host(), place(caller_tenant)
    said = in_conversation(call_id, caller_tenant)
    seconds = seconds_since_answer(call_id, caller_tenant)
    host.job().kill()
    assert_handed_in(call_id, caller_tenant, seconds=seconds)
    assert stored(call_id, caller_tenant, ending) == ("ended", "failed", "worker_lost")
    assert stored(call_id, caller_tenant, told)[: len(said)] == said
    following = place(caller_tenant)
    assert in_conversation(following, caller_tenant, turns=1)[0][2] == "Hello there."


def test_a_job_that_uses_too_much_memory_is_killed(caller_tenant: Tenant, start_host: Start) -> None:
    start_host(VP_JOB_MEMORY_MB="1")
    call_id = place(caller_tenant)
    until(lambda: stored(call_id, caller_tenant, ending) == ("ended", "failed", "worker_lost"), timeout_s=HANDS_IN_S)
    assert WorkerHost.objects.get().versions["livekit-agents"]


def test_a_job_that_does_not_take_a_hang_up_is_killed(caller_tenant: Tenant, start_host: Start) -> None:
    host, call_id = start_host(VP_TIMERS_PERCENT="20"), place(caller_tenant)
    in_conversation(call_id, caller_tenant, turns=1)
    job = host.job()
    job.suspend()
    with tenant_scope(caller_tenant):
        request_hang_up(Call.objects.get(pk=call_id))
    until(lambda: not job.is_running(), timeout_s=15)
    until(lambda: stored(call_id, caller_tenant, ending) == ("ended", "canceled", "canceled_by_user"), timeout_s=HANDS_IN_S)
    assert host.is_alive()


def test_chats_have_places_of_their_own(caller_tenant: Tenant, start_host: Start) -> None:
    start_host()
    in_conversation(place(caller_tenant), caller_tenant, turns=1)
    assert [text for _, _, text in answered(caller_tenant, place_chat(caller_tenant, "Hello"))] == ["Hello", ANSWER]


def test_a_killed_chat_ends_and_leaves_its_message_unanswered(caller_tenant: Tenant, start_host: Start) -> None:
    host, first = start_host(), place_chat(caller_tenant, "Hello")
    answered(caller_tenant, first)
    host.job().kill()
    assert answered(caller_tenant, write(caller_tenant, first.call_id, "Are you there?"), timeout_s=HANDS_IN_S) == []
    assert stored(first.call_id, caller_tenant, ending) == ("ended", "failed", "worker_lost")
    assert [text for _, _, text in stored(first.call_id, caller_tenant, told)][-1] == ANSWER


def test_a_job_outlives_its_host_only_to_end_its_call(caller_tenant: Tenant, start_host: Start) -> None:
    host, call_id = start_host(), place(caller_tenant)
    said = in_conversation(call_id, caller_tenant)
    seconds, job = seconds_since_answer(call_id, caller_tenant), host.job()
    host.kill()
    until(lambda: not job.is_running(), timeout_s=15)
    assert stored(call_id, caller_tenant, ending) == ("ended", "failed", "worker_shutdown")
    assert stored(call_id, caller_tenant, told)[: len(said)] == said
    assert stored(call_id, caller_tenant, lambda call: call.recordings.get().state) == "spooled"
    start_host()
    assert_handed_in(call_id, caller_tenant, seconds=seconds)


def test_what_only_the_spool_knew_survives_the_machine(
    caller_tenant: Tenant, start_host: Start, proxy: Proxy, spool: Path
) -> None:
    host, call_id = start_host(DATABASE_URL=through(proxy)), place(caller_tenant)
    said = in_conversation(call_id, caller_tenant)
    until(lambda: str(call_id) in WorkerHost.objects.get().spooled_call_ids, timeout_s=15)
    proxy.cut()
    until(lambda: len(journalled(spool, call_id)) >= 2, timeout_s=CONVERSES_S)
    seconds = seconds_since_answer(call_id, caller_tenant)
    host.kill_all()
    waiting = journalled(spool, call_id)
    before = stored(call_id, caller_tenant, told)
    assert waiting.keys() - {sequence for sequence, *_ in before}

    sweep_after_silence()
    assert stored(call_id, caller_tenant, ending) == ("ended", "failed", "worker_lost")
    start_host()
    assert_handed_in(call_id, caller_tenant, seconds=seconds)
    turns = stored(call_id, caller_tenant, told)
    assert turns[: len(said)] == said
    assert {sequence: text for sequence, _, text in turns if sequence in waiting} == waiting
    assert [sequence for sequence, *_ in turns] == [*range(1, len(turns) + 1)]
    assert Spool(spool).waiting() == []


def test_a_call_that_ends_while_the_database_is_away_is_handed_in_as_it_ended(
    caller_tenant: Tenant, start_host: Start, proxy: Proxy, spool: Path
) -> None:
    host, call_id = start_host(DATABASE_URL=through(proxy)), place(caller_tenant)
    said = in_conversation(call_id, caller_tenant, turns=1)
    seconds, job = seconds_since_answer(call_id, caller_tenant), host.job()
    proxy.cut()
    until(lambda: journalled(spool, call_id), timeout_s=CONVERSES_S)
    job.terminate()
    until(lambda: not job.is_running(), timeout_s=30)
    waiting = journalled(spool, call_id)
    assert stored(call_id, caller_tenant, ending) == ("in_progress", "", "")
    proxy.mend()
    assert_handed_in(call_id, caller_tenant, seconds=seconds)
    assert stored(call_id, caller_tenant, ending) == ("ended", "failed", "worker_shutdown")
    turns = stored(call_id, caller_tenant, told)
    assert turns[: len(said)] == said
    assert {sequence: text for sequence, _, text in turns if sequence in waiting} == waiting
    assert host.is_alive()


@pytest.fixture
def surprised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails a host at its first beat."""
    monkeypatch.setattr(duties, "AGAIN_S", 0.1)
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.2)
    surprises = iter([OSError("the disk did not answer")])
    monkeypatch.setattr(Spool, "waiting", lambda _: [] if (error := next(surprises, None)) is None else fail(error))


async def test_a_host_goes_on_beating_after_a_surprise(
    caller_tenant: Tenant, surprised: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_host, "warm_up", lambda: None)
    host = local_host.LocalHost(calls=1, chats=1, drain_s=0.0)
    running = asyncio.create_task(host.run())
    await asyncio.to_thread(until, a_host_has_beaten, timeout_s=15)
    host.signal()
    await asyncio.wait_for(running, 10)


class IdleServer:
    """In the place of livekit-agents' server: it has no job."""

    def __init__(self, **_: object) -> None:
        self._closed = asyncio.Event()

    def on(self, *_: object) -> None:
        """Nothing happens."""

    def rtc_session(self, *_: object, **__: object) -> None:
        """Nobody asks for it."""

    async def run(self) -> None:
        await self._closed.wait()

    async def aclose(self) -> None:
        self._closed.set()


async def test_a_host_on_a_livekit_server_goes_on_beating_after_a_surprise(
    caller_tenant: Tenant, surprised: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livekit_host, "AgentServer", IdleServer)
    running = asyncio.create_task(livekit_host._serve(0.0))
    await asyncio.to_thread(until, a_host_has_beaten, timeout_s=15)
    running.cancel()
    await asyncio.wait([running])


def test_a_folder_that_is_removed_while_it_is_looked_at_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    monkeypatch.setattr(spool, "_folders", lambda: iter([(UUID(int=1), tmp_path / "gone")]))
    assert spool.waiting() == []


def a_host_has_beaten() -> bool:
    try:
        return WorkerHost.objects.exclude(previous_beat_at=None).exists()
    finally:
        connections.close_all()


def fail(error: Exception) -> NoReturn:
    raise error


def through(proxy: Proxy) -> str:
    settings = connection.settings_dict
    return f"postgres://{settings['USER']}:{quote(settings['PASSWORD'])}@127.0.0.1:{proxy.port}/{settings['NAME']}"


def journalled(spool: Path, call_id: UUID) -> dict[int, str]:
    """The turns that the database has not taken, as they were written down last."""
    lines = (spool / str(call_id) / NAME).read_text().splitlines()[1:]
    turns = [entry for entry in map(json.loads, lines) if entry["op"] == "turn"]
    return {turn["sequence"]: turn["text"] for turn in turns}


def sweep_after_silence() -> None:
    """Sweep as if the sweeps had run all the while since the host's last beat, twenty seconds ago."""
    now = database_now()
    WorkerHost.objects.update(last_beat_at=now - timedelta(seconds=20))
    SweepRun.objects.update_or_create(
        name="calls", defaults={"last_run_at": now - timedelta(seconds=5), "steady_since": now - timedelta(seconds=60)}
    )
    assert sweep().lost == 1
