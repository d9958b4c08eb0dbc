import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from calls.errors import DamagedRecordingError
from calls.models import Call, CallEvent, Recording
from calls.services import finalize_call, recordings
from calls.services.journal import apply_entries
from calls.services.recordings import store_recording
from calls.testing import JOB
from calls.tests import journal as j
from calls.tests.racing import race
from tenants.models import OutboxEvent

Make = Callable[..., Call]
SOUND = b"OggS" + bytes(range(256)) * 5000


@pytest.fixture
def call(make_call: Make, tmp_path: Path, settings: Any) -> Call:
    """An ended call whose recording was announced; files go to the test's own folder."""
    location = {"OPTIONS": {"location": tmp_path / "files"}}
    settings.STORAGES = settings.STORAGES | {"recordings": settings.STORAGES["recordings"] | location}
    return make_call(status="ended")


@pytest.fixture
def spool(call: Call, tmp_path: Path) -> Path:
    path = tmp_path / "spool" / "call.ogg"
    path.parent.mkdir()
    path.write_bytes(SOUND)
    announce(call, path)
    return path


def announce(call: Call, path: Path) -> None:
    entry = j.spooled(str(path), sha256=hashlib.sha256(SOUND).hexdigest(), size=len(SOUND))
    apply_entries(call_id=call.pk, job_id=JOB, entries=[entry])


def kept(recording: Recording) -> bytes:
    with storages["recordings"].open(recording.file) as file:
        content: bytes = file.read()
    return content


def test_a_spooled_recording_is_stored(call: Call, spool: Path) -> None:
    recording = store_recording(call.pk, spool)
    assert (recording.state, recording.file) == ("stored", f"{call.tenant_id}/{call.pk}.ogg")
    assert kept(recording) == SOUND
    assert not spool.exists()
    assert OutboxEvent.objects.get(topic="recording.ready").data["size"] == len(SOUND)
    assert CallEvent.objects.filter(call=call, kind="recording_stored").count() == 1


def test_storing_again_after_a_crash_at_any_point_ends_the_same(call: Call, spool: Path) -> None:
    name = f"{call.tenant_id}/{call.pk}.ogg"
    storages["recordings"].save(name, ContentFile(SOUND[:100]))
    store_recording(call.pk, spool)
    spool.write_bytes(SOUND)
    recording = store_recording(call.pk, spool)
    assert store_recording(call.pk, spool) == recording
    assert kept(recording) == SOUND
    assert not spool.exists()
    assert storages["recordings"].listdir(str(call.tenant_id))[1] == [f"{call.pk}.ogg"]
    assert OutboxEvent.objects.filter(topic="recording.ready").count() == 1


def test_a_damaged_file_is_never_stored(call: Call, spool: Path) -> None:
    spool.write_bytes(SOUND[:-1] + b"x")
    with pytest.raises(DamagedRecordingError, match="checksum"):
        store_recording(call.pk, spool)
    recording = Recording.objects.get(call=call)
    assert (recording.state, recording.file) == ("lost", "")
    assert "checksum" in recording.detail
    assert spool.exists()
    assert not storages["recordings"].exists(f"{call.tenant_id}/{call.pk}.ogg")
    assert not OutboxEvent.objects.filter(topic="recording.ready").exists()


def test_a_missing_file_makes_the_recording_lost_until_it_is_found(call: Call, spool: Path) -> None:
    spool.unlink()
    with pytest.raises(DamagedRecordingError, match="missing"):
        store_recording(call.pk, spool)
    spool.write_bytes(SOUND)
    assert store_recording(call.pk, spool).state == "stored"


def test_a_copy_that_went_wrong_is_taken_back(call: Call, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = storages["recordings"]
    save = storage.save
    monkeypatch.setattr(storage, "save", lambda name, _file: save(name, ContentFile(SOUND[:50])))
    with pytest.raises(OSError, match="differs"):
        store_recording(call.pk, spool)
    assert spool.exists()
    assert not storage.exists(f"{call.tenant_id}/{call.pk}.ogg")
    assert Recording.objects.get(call=call).state == "spooled"


def test_nothing_is_stored_that_was_not_announced(call: Call, tmp_path: Path) -> None:
    (tmp_path / "call.ogg").write_bytes(SOUND)
    with pytest.raises(Recording.DoesNotExist):
        store_recording(call.pk, tmp_path / "call.ogg")


def test_a_stored_recording_stays_whatever_comes_after(call: Call, spool: Path) -> None:
    store_recording(call.pk, spool)
    announce(call, spool)
    lost = {"op": "recording", "state": "lost", "detail": "killed"}
    assert apply_entries(call_id=call.pk, job_id=JOB, entries=[lost]).refused == 0
    recordings.lose_recording(call, detail="swept")
    assert Recording.objects.get(call=call).state == "stored"


def test_the_upload_may_follow_the_second_end(call: Call, spool: Path) -> None:
    assert finalize_call(call_id=call.pk)
    assert store_recording(call.pk, spool).state == "stored"


def test_a_job_and_its_host_may_store_at_the_same_moment(database_env: dict[str, str], call: Call, spool: Path) -> None:
    with spool.open("wb") as file:
        for _ in range(30):
            file.write(SOUND)
    entry = j.spooled(str(spool), sha256=hashlib.sha256(SOUND * 30).hexdigest(), size=len(SOUND) * 30)
    apply_entries(call_id=call.pk, job_id=JOB, entries=[entry])
    body = """
from pathlib import Path
from calls.services.recordings import store_recording
return store_recording(UUID(given["call"]), Path(given["spool"])).state
"""
    files = {"VP_FILES": str(spool.parent.parent / "shared")}
    assert race(database_env | files, body, processes=3, call=call.pk, spool=spool) == ["stored"] * 3
    stored = Path(files["VP_FILES"]) / "recordings" / Recording.objects.get(call=call).file
    assert stored.read_bytes() == SOUND * 30
    assert OutboxEvent.objects.filter(topic="recording.ready").count() == 1


def test_a_problem_is_noted_once_and_forgotten_when_it_is_over(call: Call, spool: Path, tmp_path: Path) -> None:
    (tmp_path / "files").write_text("no folder")
    for _ in range(3):
        with pytest.raises(OSError, match="files"):
            store_recording(call.pk, spool)
    waiting = Recording.objects.get()
    assert (waiting.state, waiting.problem, waiting.tries) == ("spooled", "unreachable", 3)
    assert waiting.tried_at
    assert "files" in waiting.detail
    assert CallEvent.objects.filter(kind="recording_waits").count() == 1
    (tmp_path / "files").unlink()
    stored = store_recording(call.pk, spool)
    assert (stored.state, stored.problem, stored.detail) == ("stored", "", "")


def test_a_recording_that_was_cut_short_says_so_for_ever(call: Call, spool: Path) -> None:
    Recording.objects.update(cut_short=True, detail="The disk was full.")
    stored = store_recording(call.pk, spool)
    assert (stored.state, stored.cut_short, stored.detail) == ("stored", True, "The disk was full.")
