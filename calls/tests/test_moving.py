"""Recordings on their way from the disk to the bucket and back."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.utils import timezone

from calls import link_cache
from calls.models import Call, CallEvent, Recording
from calls.places import storage_at
from calls.services import moving
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests.fakes.gcs_server import GcsServer

Make = Callable[..., Call]


@pytest.fixture(autouse=True)
def _no_links() -> None:
    link_cache.forget()


@pytest.fixture
def bucket(both_places: GcsServer) -> GcsServer:
    return both_places


@pytest.fixture
def recorded(placed: Make, tenant: Tenant, bucket: GcsServer) -> list[Recording]:
    """Three stored recordings on the disk."""
    made = []
    for number in range(3):
        call, sound = placed(status="ended"), f"sound {number}".encode()
        with tenant_scope(tenant):
            name = storage_at("files").save(f"{tenant.pk}/{call.pk}.ogg", ContentFile(sound))
            facts = {"size": len(sound), "sha256": hashlib.sha256(sound).hexdigest(), "stored_at": timezone.now()}
            made.append(Recording.objects.create(call=call, state="stored", file=name, **facts))
    return made


def places(tenant: Tenant) -> list[tuple[str, str]]:
    with tenant_scope(tenant):
        return list(Recording.objects.order_by("pk").values_list("place", "left_at"))


def on_disk(tmp_path: Path) -> int:
    return len(list(tmp_path.rglob("*.ogg")))


def run(*options: str) -> str:
    out = StringIO()
    call_command("move_files", *options, stdout=out, stderr=out)
    return out.getvalue()


def test_files_go_to_the_bucket_and_back(recorded: list[Recording], tenant: Tenant, bucket: GcsServer, tmp_path: Path) -> None:
    assert "3 moved" in run("--to", "gcs")
    assert sorted(bucket.objects.values()) == [b"sound 0", b"sound 1", b"sound 2"]
    assert places(tenant) == [("gcs", "files")] * 3
    assert on_disk(tmp_path) == 3
    assert moving.remove_left_behind(now=timezone.now() + timedelta(minutes=16)) == 3
    assert (on_disk(tmp_path), places(tenant)) == (0, [("gcs", "")] * 3)
    run("--to", "files")
    assert moving.remove_left_behind(now=timezone.now() + timedelta(minutes=16)) == 3
    assert (on_disk(tmp_path), bucket.objects, places(tenant)) == (3, {}, [("files", "")] * 3)
    with tenant_scope(tenant):
        assert CallEvent.objects.filter(kind="recording_moved").count() == 6


def test_moved_there_and_back_at_once_nothing_is_deleted_that_is_used(
    recorded: list[Recording], tenant: Tenant, bucket: GcsServer, tmp_path: Path
) -> None:
    run("--to", "gcs")
    run("--to", "files")
    moving.remove_left_behind(now=timezone.now() + timedelta(minutes=16))
    assert (on_disk(tmp_path), bucket.objects) == (3, {})


def test_a_dry_run_changes_nothing(recorded: list[Recording], tenant: Tenant, bucket: GcsServer) -> None:
    assert "3 recordings" in run("--to", "gcs", "--dry-run")
    assert (bucket.objects, places(tenant)) == ({}, [("files", "")] * 3)


def test_a_run_that_is_killed_is_gone_on_with(
    recorded: list[Recording], tenant: Tenant, bucket: GcsServer, tmp_path: Path
) -> None:
    steps = moving.move(to="gcs")
    next(steps)
    steps.close()
    # Cut short while the second was written.
    bucket.objects[f"recordings/{recorded[1].file}"] = b"sou"
    assert "2 moved" in run("--to", "gcs")
    assert places(tenant) == [("gcs", "files")] * 3
    assert sorted(bucket.objects.values()) == [b"sound 0", b"sound 1", b"sound 2"]


def test_a_damaged_copy_is_taken_back(recorded: list[Recording], tenant: Tenant, bucket: GcsServer, tmp_path: Path) -> None:
    Path(storage_at("files").path(recorded[1].file)).write_bytes(b"other 1")
    with pytest.raises(CommandError, match="1 recordings stay"):
        run("--to", "gcs")
    assert places(tenant) == [("gcs", "files"), ("files", ""), ("gcs", "files")]
    assert len(bucket.objects) == 2


def test_a_recording_deleted_meanwhile_leaves_nothing_behind(
    recorded: list[Recording], tenant: Tenant, bucket: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = moving._copy

    def copy_and_lose(recording: Recording, to: str) -> None:
        copy(recording, to)
        Recording.objects.filter(pk=recording.pk).update(state="lost", file="", stored_at=None, detail="deleted")

    monkeypatch.setattr(moving, "_copy", copy_and_lose)
    assert all("meanwhile" in step.problem for step in moving.move(to="gcs"))
    assert bucket.objects == {}


def test_one_that_is_stored_while_others_move_is_taken_along(
    recorded: list[Recording], placed: Make, tenant: Tenant, bucket: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_AT_ONCE", 2)
    late = placed(status="ended")
    steps = moving.move(to="gcs")
    next(steps)
    with tenant_scope(tenant):
        name = storage_at("files").save(f"{tenant.pk}/{late.pk}.ogg", ContentFile(b"late"))
        facts = {"size": 4, "sha256": hashlib.sha256(b"late").hexdigest(), "stored_at": timezone.now()}
        Recording.objects.create(call=late, state="stored", file=name, **facts)
    assert len(list(steps)) == 3


def test_a_bucket_that_is_not_named_is_told(tenant: Tenant, settings: Any) -> None:
    settings.STORAGES = {name: given for name, given in settings.STORAGES.items() if not name.endswith("-gcs")}
    with pytest.raises(CommandError, match="GCS_BUCKET"):
        run("--to", "gcs")


def test_what_lies_elsewhere_is_found(recorded: list[Recording], api: Any, bucket: GcsServer) -> None:
    """Played from the disk, and after the move from the bucket, by the same address."""
    import requests
    from django.test import Client

    recording = recorded[0]

    def link() -> str:
        return str(api.post(f"recordings/{recording.public_id}/url").json()["url"]).removeprefix("http://testserver")

    assert b"".join(Client().get(link()).streaming_content) == b"sound 0"
    run("--to", "gcs")
    answer = Client().get(link())
    assert (answer.status_code, answer["Cache-Control"]) == (302, "private, no-store")
    assert requests.get(answer["Location"], timeout=5).content == b"sound 0"
