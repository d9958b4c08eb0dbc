"""The key's file is replaced while the storage is in use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from django.core.files.base import ContentFile
from structlog.testing import capture_logs

from calls.storage_problems import problem_of
from tests.fakes.gcs_server import BUCKET, GcsServer
from voiceplatform.lib import gcs
from voiceplatform.lib.gcs import CredentialsError, PrivateGoogleStorage


@pytest.fixture
def key(gcs_server: GcsServer, tmp_path: Path) -> Path:
    (tmp_path / "key.json").write_text(gcs_server.service_account())
    return tmp_path / "key.json"


@pytest.fixture
def storage(gcs_server: GcsServer, key: Path, monkeypatch: pytest.MonkeyPatch) -> PrivateGoogleStorage:
    monkeypatch.setattr(gcs, "_RETRY", gcs._RETRY.with_timeout(0.3).with_delay(initial=0.05, maximum=0.1))
    return PrivateGoogleStorage(bucket_name=BUCKET, given_credentials=str(key), endpoint=gcs_server.url)


def replaced(key: Path, text: str) -> None:
    (key.parent / "new.json").write_text(text)
    os.replace(key.parent / "new.json", key)


def written_over(key: Path, text: str) -> None:
    key.write_text(text)


@pytest.mark.parametrize("bring", [replaced, written_over])
def test_a_new_key_holds_from_the_next_use(
    storage: PrivateGoogleStorage, gcs_server: GcsServer, key: Path, bring: Callable[[Path, str], None]
) -> None:
    storage.save("first.ogg", ContentFile(b"first"))
    assert requests.get(storage.url("first.ogg"), timeout=5).content == b"first"
    new = gcs_server.change_key()
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of one of the vendor's classes
        storage.save("second.ogg", ContentFile(b"second"))
    assert problem_of(caught.value) == "key_refused"
    bring(key, new)
    storage.save("second.ogg", ContentFile(b"second"))
    assert requests.get(storage.url("second.ogg"), timeout=5).content == b"second"


def test_a_key_that_stays_is_read_once(storage: PrivateGoogleStorage, gcs_server: GcsServer) -> None:
    for number in range(3):
        storage.save(f"{number}.ogg", ContentFile(b"sound"))
    assert gcs_server.asked("/token") == 1


@pytest.mark.parametrize("broken", ["half", "null", '{"type": "service_account"}', "", None])
def test_a_file_that_is_no_key_leaves_the_key_before_in_use(
    storage: PrivateGoogleStorage, gcs_server: GcsServer, key: Path, broken: str | None
) -> None:
    storage.save("first.ogg", ContentFile(b"first"))
    whole = key.read_text()
    with capture_logs() as logs:
        key.unlink() if broken is None else key.write_text(whole[: len(whole) // 2] if broken == "half" else broken)
        for number in range(3):
            storage.save(f"{number}.ogg", ContentFile(b"sound"))
            assert requests.get(storage.url(f"{number}.ogg"), timeout=5).content == b"sound"
    assert [line["log_level"] for line in logs] == ["error"]
    key.write_text(gcs_server.change_key())
    storage.save("last.ogg", ContentFile(b"last"))


def test_without_any_key_so_far_a_bad_file_is_told(storage: PrivateGoogleStorage, key: Path) -> None:
    good = key.read_text()
    key.write_text(good[:100])
    with pytest.raises(CredentialsError, match="GOOGLE_CLOUD_CREDENTIALS"):
        storage.exists("call.ogg")
    key.write_text(good)
    assert not storage.exists("call.ogg")
