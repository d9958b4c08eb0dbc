"""Google Cloud Storage as Google's own client and Django's storage see it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.files.base import ContentFile
from google.api_core.exceptions import NotFound
from google.cloud.storage import Client
from google.oauth2 import service_account

from calls.storage_problems import problem_of
from tests.fakes.gcs_server import BUCKET, EMAIL, GcsServer
from voiceplatform.lib import gcs
from voiceplatform.lib.gcs import CredentialsError, PrivateGoogleStorage, SigningError

SOUND = bytes(range(256)) * 400


def storage_at(server: GcsServer, **options: Any) -> PrivateGoogleStorage:
    given = {"bucket_name": BUCKET, "location": "recordings", "given_credentials": server.service_account()}
    return PrivateGoogleStorage(**given | {"endpoint": server.url, "iam_url": server.url} | options)


@pytest.fixture
def storage(gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> PrivateGoogleStorage:
    monkeypatch.setattr(gcs, "_RETRY", gcs._RETRY.with_timeout(0.3).with_delay(initial=0.05, maximum=0.1))
    return storage_at(gcs_server)


def test_a_file_is_written_read_and_deleted(storage: PrivateGoogleStorage, gcs_server: GcsServer) -> None:
    name = storage.save("tenant/call.ogg", ContentFile(SOUND))
    assert name == "tenant/call.ogg"
    assert gcs_server.objects == {"recordings/tenant/call.ogg": SOUND}
    assert (storage.exists(name), storage.size(name)) == (True, len(SOUND))
    with storage.open(name) as file:
        assert file.read() == SOUND
    storage.delete(name)
    storage.delete(name)
    assert not storage.exists(name)
    with pytest.raises(FileNotFoundError):
        storage.open(name)


def test_a_large_file_goes_in_pieces(storage: PrivateGoogleStorage, gcs_server: GcsServer) -> None:
    large = SOUND * 110
    storage.save("large.ogg", ContentFile(large))
    assert gcs_server.objects["recordings/large.ogg"] == large
    assert gcs_server.asked("/resume") == 3


def test_nothing_is_written_over(storage: PrivateGoogleStorage, gcs_server: GcsServer) -> None:
    storage.save("call.ogg", ContentFile(b"first"))
    with pytest.raises(Exception, match="412"):
        storage.save("call.ogg", ContentFile(b"second"))
    assert gcs_server.objects["recordings/call.ogg"] == b"first"


def test_the_stand_in_serves_googles_own_client(gcs_server: GcsServer) -> None:
    """The fake is no use unless the vendor's client takes it for the real thing."""
    info = json.loads(gcs_server.service_account())
    client = Client(
        project="p",
        credentials=service_account.Credentials.from_service_account_info(info),
        client_options={"api_endpoint": gcs_server.url},
    )
    bucket = client.bucket(BUCKET)
    bucket.blob("a/b c.ogg").upload_from_string(SOUND, checksum="crc32c")
    assert [blob.name for blob in client.list_blobs(BUCKET, prefix="a/")] == ["a/b c.ogg"]
    assert bucket.get_blob("a/b c.ogg").download_as_bytes(start=10, end=19) == SOUND[10:20]


@pytest.mark.parametrize("options", [{}, {"signer_email": EMAIL}])
def test_a_link_reads_its_object_and_nothing_else(storage: PrivateGoogleStorage, gcs_server: GcsServer, options: Any) -> None:
    """With a key of our own, and signed by IAM; the server checks the signature with the public key."""
    signing = storage_at(gcs_server, **options)
    storage.save("tenant/a call.ogg", ContentFile(SOUND))
    storage.save("tenant/other.ogg", ContentFile(b"secret"))
    url = signing.url("tenant/a call.ogg")
    assert "X-Goog-Expires=900" in url
    assert requests.get(url, timeout=5).content == SOUND
    part = requests.get(url, headers={"Range": "bytes=256-511"}, timeout=5)
    assert (part.status_code, part.content) == (206, SOUND[256:512])
    for forged in (url.replace("a%20call", "other"), url.replace("Expires=900", "Expires=9000"), url[:-4] + "0000"):
        assert requests.get(forged, timeout=5).status_code == 403
    assert gcs_server.asked("signBlob") == (1 if options else 0)
    assert requests.get(signing.url("tenant/a call.ogg", {"expiration": timedelta(seconds=-5)}), timeout=5).status_code == 400


def test_a_link_asks_for_a_file_name(storage: PrivateGoogleStorage) -> None:
    storage.save("call.ogg", ContentFile(SOUND))
    url = storage.url("call.ogg", {"response_disposition": 'attachment; filename="call_1.ogg"', "response_type": "audio/ogg"})
    assert requests.get(url, timeout=5).content == SOUND


def break_bucket(server: GcsServer) -> None:
    server.buckets = {}


def break_reading(server: GcsServer) -> None:
    server.read_only = True


def break_key(server: GcsServer) -> None:
    server.revoked = True


def break_service(server: GcsServer) -> None:
    server.is_down = True


@pytest.mark.parametrize(
    ("fault", "problem"),
    [(break_bucket, "no_bucket"), (break_reading, "forbidden"), (break_key, "key_refused"), (break_service, "unreachable")],
)
def test_what_is_wrong_is_told_within_the_deadline(
    storage: PrivateGoogleStorage, gcs_server: GcsServer, fault: Any, problem: str
) -> None:
    fault(gcs_server)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any of the vendor's classes
        storage.save("call.ogg", ContentFile(SOUND))
    assert problem_of(caught.value) == problem


@pytest.mark.parametrize("ask", ["delete", "open", "exists"])
def test_a_bucket_that_is_not_there_is_not_an_empty_one(storage: PrivateGoogleStorage, gcs_server: GcsServer, ask: str) -> None:
    gcs_server.buckets = {}
    with pytest.raises(NotFound, match="bucket does not exist"):
        getattr(storage, ask)("call.ogg")


def test_a_refused_signature_is_an_error_of_ours(gcs_server: GcsServer) -> None:
    storage = storage_at(gcs_server, signer_email=EMAIL, iam_url=f"{gcs_server.url}/nowhere")
    with pytest.raises(SigningError, match=EMAIL):
        storage.url("call.ogg")


def test_credentials_are_a_file_or_a_text(gcs_server: GcsServer, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(gcs_server.service_account())
    assert gcs.load_credentials(str(tmp_path / "key.json")).service_account_email == EMAIL
    for wrong in (str(tmp_path / "missing.json"), '{"type": "service_account"}'):
        with pytest.raises(CredentialsError, match="GOOGLE_CLOUD_CREDENTIALS"):
            gcs.load_credentials(wrong)
