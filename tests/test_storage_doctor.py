"""What the doctor says of storages: that they work, or what to mend."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gcs_server import BUCKET, EMAIL, GcsServer
from voiceplatform.findings import Finding
from voiceplatform.settings import env
from voiceplatform.settings.storages import storages
from voiceplatform.storage_doctor import storage_checks


def examined(settings: Any, place: str, credentials: str, folder: Path) -> dict[str, Finding]:
    settings.VP_STORAGE = place
    settings.STORAGES = settings.STORAGES | storages(files=folder, place=place, credentials=credentials)
    return {finding.name: finding for finding in (check() for check in storage_checks())}


@pytest.fixture
def named(gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> GcsServer:
    for name, value in {"GCS_BUCKET": BUCKET, "GCS_ENDPOINT": gcs_server.url, "GCS_IAM_URL": gcs_server.url}.items():
        monkeypatch.setenv(name, value)
    return gcs_server


@pytest.mark.parametrize("signer", ["", EMAIL])
def test_a_bucket_in_good_order(
    settings: Any, named: GcsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signer: str
) -> None:
    monkeypatch.setenv("GCS_SIGNER_EMAIL", signer)
    found = examined(settings, "gcs", named.service_account(), tmp_path)
    assert {name: finding.ok for name, finding in found.items()} == {"recordings": True, "knowledge": True, "exports": True}
    assert f"deleted in gs://{BUCKET}" in found["recordings"].detail
    assert named.objects == {}


def test_the_disk_in_good_order_and_a_bucket_besides(settings: Any, named: GcsServer, tmp_path: Path) -> None:
    found = examined(settings, "files", named.service_account(), tmp_path)
    assert all(finding.ok for finding in found.values())
    assert found.keys() == {"recordings", "knowledge", "exports", "recordings-gcs", "knowledge-gcs", "exports-gcs"}
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("fault", "fix"),
    [
        ({"buckets": {}}, "create it"),
        ({"read_only": True}, "Storage Object User"),
        ({"revoked": True}, "Make a new key"),
    ],
)
def test_what_to_mend_about_a_bucket(settings: Any, named: GcsServer, tmp_path: Path, fault: dict[str, Any], fix: str) -> None:
    vars(named).update(fault)
    found = examined(settings, "gcs", named.service_account(), tmp_path)
    assert not any(finding.ok for finding in found.values())
    assert fix in found["recordings"].fix


@pytest.mark.parametrize(
    ("credentials", "fix"), [("{}", "GOOGLE_CLOUD_CREDENTIALS"), ("/nowhere.json", "GOOGLE_CLOUD_CREDENTIALS")]
)
def test_what_to_mend_about_a_key(settings: Any, named: GcsServer, tmp_path: Path, credentials: str, fix: str) -> None:
    assert fix in examined(settings, "gcs", credentials, tmp_path)["recordings"].fix


def test_links_that_nobody_signs(settings: Any, named: GcsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCS_SIGNER_EMAIL", "somebody@else.example")
    found = examined(settings, "gcs", named.service_account(), tmp_path)
    assert "Token Creator" in found["recordings"].fix


def test_a_folder_that_cannot_be_written(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("no folder")
    found = examined(settings, "files", "", tmp_path)
    assert (found["recordings"].ok, found["exports"].ok) == (False, True)
    assert "VP_FILES" in found["recordings"].fix


def test_a_bucket_must_be_named(settings: Any, tmp_path: Path) -> None:
    with pytest.raises(env.ImproperlyConfigured, match="GCS_BUCKET=my-company-voice"):
        storages(files=tmp_path, place="gcs", credentials="")
