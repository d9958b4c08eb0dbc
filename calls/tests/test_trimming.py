"""The copy of a recording without its long silences."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone

from calls.models import Call, Recording
from calls.places import storage_at
from calls.services import moving, trimming
from calls.services.trimming import ask_for_trimmed, copy_name, make_trimmed
from calls.sound import trim_silence
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests.fakes.gcs_server import GcsServer

RATE = 48_000


def spoken(at: float, hertz: float) -> np.ndarray:
    """Two seconds of a tone in twenty of silence."""
    track = np.zeros(20 * RATE, dtype=np.int16)
    begin = round(at * RATE)
    track[begin : begin + 2 * RATE] = 3000 * np.sin(2 * np.pi * hertz * np.arange(2 * RATE) / RATE)
    return track


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """The caller speaks at 0 s, the agent at 12 s, and both are silent until 20 s."""
    path = tmp_path / "original.ogg"
    both = np.stack([spoken(0, 300), spoken(12, 500)], axis=1).reshape(1, -1)
    with av.open(str(path), mode="w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate = RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


@pytest.fixture
def recording(original: Path, both_places: GcsServer, placed: Callable[..., Call], tenant: Tenant) -> Recording:
    call, sound = placed(status="ended"), original.read_bytes()
    with tenant_scope(tenant):
        name = storage_at("files").save(f"{tenant.pk}/{call.pk}.ogg", ContentFile(sound))
        facts = {"size": len(sound), "sha256": hashlib.sha256(sound).hexdigest(), "stored_at": timezone.now()}
        made: Recording = Recording.objects.create(call=call, state="stored", file=name, duration_ms=20_000, **facts)
    return made


def decoded(file: Any) -> np.ndarray:
    with av.open(file) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def test_silences_are_cut_and_words_are_kept(original: Path, tmp_path: Path) -> None:
    with (tmp_path / "copy.ogg").open("w+b") as target:
        told = trim_silence(str(original), target)
    caller, agent = decoded(str(tmp_path / "copy.ogg"))
    seconds = len(caller) / 48_000
    assert seconds == pytest.approx(2 + 0.75 + 2 + 0.5, abs=0.15)
    assert told.duration_ms == pytest.approx(seconds * 1000, abs=50)
    assert told.removed_ms == pytest.approx(20_000 - told.duration_ms, abs=100)
    for channel, hertz in ((caller, 300), (agent, 500)):
        loud = np.abs(channel) > 0.02
        assert loud.sum() / 48_000 == pytest.approx(1.75, abs=0.2)
        spectrum = np.abs(np.fft.rfft(channel))
        assert spectrum.argmax() / seconds == pytest.approx(hertz, abs=3)


def test_a_copy_is_made_once_and_the_original_stays(
    recording: Recording, tenant: Tenant, original: Path, sent_messages: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with tenant_scope(tenant):
        with django_capture_on_commit_callbacks(execute=True):
            assert [ask_for_trimmed(recording).copy for _ in range(2)] == ["asked", "asked"]
        [message] = sent_messages()
        assert message["args"] == [str(recording.pk)]
        assert [make_trimmed(recording.pk) for _ in range(2)] == [True, False]
        recording.refresh_from_db()
        copy = Path(storage_at("files").path(copy_name(recording)))
        assert hashlib.sha256(copy.read_bytes()).hexdigest() == recording.copy_sha256
        assert (recording.copy_size, recording.copy_duration_ms < 6000) == (copy.stat().st_size, True)
        assert Path(storage_at("files").path(recording.file)).read_bytes() == original.read_bytes()
        assert ask_for_trimmed(recording).copy == "made"
    assert len(sent_messages()) == 1


def test_what_is_no_sound_fails_and_can_be_asked_for_again(recording: Recording, tenant: Tenant) -> None:
    Path(storage_at("files").path(recording.file)).write_bytes(b"no sound")
    with tenant_scope(tenant):
        ask_for_trimmed(recording)
        assert not make_trimmed(recording.pk)
        recording.refresh_from_db()
        assert (recording.copy, "Error" in recording.copy_detail) == ("failed", True)
        assert ask_for_trimmed(recording).copy == "asked"


def test_a_copy_of_what_was_moved_meanwhile_is_taken_back(
    recording: Recording, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = trimming._make

    def make_and_move(row: Recording) -> dict[str, object]:
        facts = make(row)
        Recording.objects.filter(pk=row.pk).update(place="gcs", copy="")
        return facts

    monkeypatch.setattr(trimming, "_make", make_and_move)
    with tenant_scope(tenant):
        ask_for_trimmed(recording)
        assert not make_trimmed(recording.pk)
        assert not storage_at("files").exists(copy_name(recording))


def test_a_move_leaves_no_copy_behind(recording: Recording, tenant: Tenant, tmp_path: Path) -> None:
    with tenant_scope(tenant):
        ask_for_trimmed(recording)
        make_trimmed(recording.pk)
    assert [step.problem for step in moving.move(to="gcs")] == [""]
    moving.remove_left_behind(now=timezone.now() + timedelta(hours=1))
    assert list((tmp_path / "files").rglob("*.ogg")) == []
    with tenant_scope(tenant):
        assert Recording.objects.get().copy == ""


def test_a_lost_message_is_sent_again(recording: Recording, tenant: Tenant, sent_messages: Any) -> None:
    with tenant_scope(tenant):
        ask_for_trimmed(recording)
    assert trimming.wake_waiting(now=timezone.now()) == 0
    assert trimming.wake_waiting(now=timezone.now() + timedelta(minutes=2)) == 1
    assert sent_messages()[-1]["task"] == "calls.tasks.trim_recording"


def test_the_copy_is_downloaded_and_the_original_played(recording: Recording, api: Any, tenant: Tenant, original: Path) -> None:
    path = f"recordings/{recording.public_id}"
    assert api.post(f"{path}/url", {"trimmed": True}).json()["code"] == "recording_not_stored"
    answer = api.post(f"{path}/trim")
    assert (answer.status_code, answer.json()["trimmed"]["state"]) == (202, "asked")
    with tenant_scope(tenant):
        make_trimmed(recording.pk)
    trimmed = api.get(path).json()["trimmed"]
    links = [api.post(f"{path}/url", body).json()["url"].removeprefix("http://testserver") for body in ({}, {"trimmed": True})]
    played, downloaded = (b"".join(Client().get(link).streaming_content) for link in links)
    assert played == original.read_bytes()
    assert hashlib.sha256(downloaded).hexdigest() == trimmed["sha256"]
