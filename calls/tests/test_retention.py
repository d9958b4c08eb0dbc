"""Recordings whose time is over."""

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

from agents.testing import make_agent
from calls.models import Call, CallEvent, Recording
from calls.places import storage_at
from calls.services import moving, recordings, retention
from calls.services.journal import apply_entries
from calls.services.recordings import store_recording
from calls.services.trimming import copy_name
from calls.testing import JOB
from calls.tests import journal as j
from tenants.models import AuditEvent, Tenant
from tenants.scope import tenant_scope
from tenants.services.features import set_feature
from tests.fakes.gcs_server import GcsServer

SOUND = b"OggS sound"
Record = Callable[..., Recording]


@pytest.fixture
def record(placed: Callable[..., Call], within: Callable[..., Any], both_places: GcsServer) -> Record:
    """Makes recordings of `tenant` that were stored some days ago, with a copy without silences."""

    def make(*, days_ago: float = 0, place: str = "files") -> Recording:
        call, at = placed(status="ended"), timezone.now() - timedelta(days=days_ago)
        name = storage_at(place).save(f"{call.tenant_id}/{call.pk}.ogg", ContentFile(SOUND))
        facts = {"size": len(SOUND), "sha256": hashlib.sha256(SOUND).hexdigest(), "stored_at": at, "place": place}
        copy = {"copy": "made", "copy_asked_at": at, "copy_size": 1, "copy_sha256": "a" * 64, "copy_duration_ms": 1}
        made: Recording = within(Recording.objects.create, call=call, state="stored", file=name, **facts, **copy)
        storage_at(place).save(copy_name(made), ContentFile(b"c"))
        return made

    return make


def keep(tenant: Tenant, days: int) -> None:
    with tenant_scope(tenant):
        set_feature(key=retention.FEATURE, enabled=True, config={"days": days}, actor=None, reason="test")


def states(tenant: Tenant) -> list[str]:
    with tenant_scope(tenant):
        return list(Recording.objects.order_by("pk").values_list("state", flat=True))


def on_disk(tmp_path: Path) -> int:
    return len(list((tmp_path / "files").rglob("*.ogg")))


def test_a_tenants_time_is_over(record: Record, tenant: Tenant, tmp_path: Path, both_places: GcsServer) -> None:
    old, _ = record(days_ago=31), record(days_ago=29)
    record(days_ago=40, place="gcs")
    assert list(retention.apply_retention()) == []
    keep(tenant, 30)
    assert [due.problem for due in retention.apply_retention()] == ["", ""]
    assert (states(tenant), on_disk(tmp_path), both_places.objects) == (["deleted", "stored", "deleted"], 2, {})
    assert list(retention.apply_retention()) == []
    with tenant_scope(tenant):
        [event] = AuditEvent.objects.filter(action="recording.deleted", target_id=old.pk)
        assert (event.data, event.reason) == ({"call_id": str(old.call_id)}, "Its time was over.")
        assert CallEvent.objects.filter(kind="recording_deleted").count() == 2
        kept = Recording.objects.get(pk=old.pk)
        assert (kept.sha256, kept.file, kept.copy, kept.deleted_at is None) == (old.sha256, "", "", False)


def test_an_agents_own_time_is_fixed_when_the_recording_is_stored(
    placed: Callable[..., Call], within: Callable[..., Any], tenant: Tenant, tmp_path: Path, both_places: GcsServer
) -> None:
    call = placed(agent=within(make_agent, settings={"recording": {"keep_days": 7}}), status="ended")
    path = tmp_path / "spooled.ogg"
    path.write_bytes(SOUND)
    entry = j.spooled(str(path), sha256=hashlib.sha256(SOUND).hexdigest(), size=len(SOUND))
    apply_entries(call_id=call.pk, job_id=JOB, entries=[entry])
    stored = store_recording(call.pk, path)
    assert stored.keep_until == stored.stored_at + timedelta(days=7)
    for days, count in ((6.9, 0), (7.1, 1)):
        assert len(list(retention.apply_retention(now=timezone.now() + timedelta(days=days)))) == count
    # What is sent again later does not bring it back.
    path.write_bytes(SOUND)
    apply_entries(call_id=call.pk, job_id=JOB, entries=[entry])
    assert store_recording(call.pk, path).state == "deleted"
    within(recordings.lose_recording, call, detail="swept")
    assert states(tenant) == ["deleted"]
    assert (path.exists(), on_disk(tmp_path)) == (False, 0)


def test_both_copies_of_a_recording_on_its_way_are_deleted(
    record: Record, tenant: Tenant, tmp_path: Path, both_places: GcsServer
) -> None:
    record(days_ago=31)
    list(moving.move(to="gcs"))
    assert (on_disk(tmp_path), len(both_places.objects)) == (2, 1)
    keep(tenant, 30)
    list(retention.apply_retention())
    assert (on_disk(tmp_path), both_places.objects) == (0, {})


def test_a_storage_that_is_away_is_tried_again(record: Record, tenant: Tenant, both_places: GcsServer, tmp_path: Path) -> None:
    record(days_ago=31, place="gcs")
    record(days_ago=31)
    keep(tenant, 30)
    both_places.read_only = True
    with pytest.raises(CommandError, match="1 recordings could not be deleted"):
        call_command("apply_retention", stdout=StringIO(), stderr=StringIO())
    assert (states(tenant), on_disk(tmp_path)) == (["stored", "deleted"], 0)
    with tenant_scope(tenant):
        assert Recording.objects.get(state="stored").problem == "forbidden"
    both_places.read_only = False
    list(retention.apply_retention())
    assert states(tenant) == ["deleted", "deleted"]


def test_a_wrong_bucket_does_not_count_as_deleted(record: Record, tenant: Tenant, both_places: GcsServer) -> None:
    record(days_ago=31, place="gcs")
    keep(tenant, 30)
    kept, both_places.buckets = both_places.buckets, {}
    list(retention.apply_retention())
    assert states(tenant) == ["stored"]
    both_places.buckets = kept
    list(retention.apply_retention())
    assert (states(tenant), both_places.objects) == (["deleted"], {})


def test_one_that_was_cut_short_between_file_and_row_is_finished(record: Record, tenant: Tenant, tmp_path: Path) -> None:
    recording = record(days_ago=31)
    keep(tenant, 30)
    storage_at("files").delete(recording.file)
    list(retention.apply_retention())
    assert (states(tenant), on_disk(tmp_path)) == (["deleted"], 0)


def test_a_look_ahead_deletes_nothing(record: Record, tenant: Tenant, other_tenant: Tenant, tmp_path: Path) -> None:
    record(days_ago=29.5)
    keep(tenant, 30)
    keep(other_tenant, 1)
    out = StringIO()
    call_command("apply_retention", "--dry-run", "--in-days", "1", stdout=out)
    assert out.getvalue() == "1 recordings would be deleted, 0.0 MB.\n"
    assert (states(tenant), on_disk(tmp_path)) == (["stored"], 2)
    with pytest.raises(CommandError, match="--dry-run"):
        call_command("apply_retention", "--in-days", "1")


def test_a_link_to_a_deleted_recording_says_so(record: Record, tenant: Tenant, api: Any) -> None:
    recording = record(days_ago=31)
    keep(tenant, 30)
    list(retention.apply_retention())
    answer = api.post(f"recordings/{recording.public_id}/url").json()
    assert "was deleted" in answer["detail"]
    assert api.get(f"recordings/{recording.public_id}").json()["state"] == "deleted"
