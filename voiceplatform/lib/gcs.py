"""Google Cloud Storage as a Django storage: private, with deadlines, and with links signed with or without a key file."""

import base64
import json
import os
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import google.auth
import structlog
from google.auth import credentials as google_credentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Blob, Bucket, Client
from google.cloud.storage.retry import DEFAULT_RETRY
from google.oauth2 import service_account
from storages.backends.gcloud import GoogleCloudStorage
from storages.utils import clean_name

# Without it the client asks for the bucket in the background, which most keys may not.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

logger = structlog.get_logger(__name__)

SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_write"
IAM: Final = "https://iamcredentials.googleapis.com"
LINK_HOLDS: Final = timedelta(minutes=15)
_DEADLINE_S: Final = 20.0
_TIMEOUT: Final = (5.0, 60.0)
_RETRY: Final = DEFAULT_RETRY.with_timeout(_DEADLINE_S)
_SIGN_TIMEOUT_S: Final = 5.0
_CHUNK: Final = 4 * 1024 * 1024


class CredentialsError(ValueError):
    """The credentials in the settings cannot be used."""


class SigningError(OSError):
    """Google did not sign for us."""


def load_credentials(given: str) -> Any:
    """From a service account's JSON, the name of a file with it, or, empty, from where the process runs.

    Raises CredentialsError.
    """
    if not given:
        try:
            return google.auth.default(scopes=[SCOPE, "https://www.googleapis.com/auth/iam"])[0]
        except google.auth.exceptions.DefaultCredentialsError as error:
            raise CredentialsError(
                "GOOGLE_CLOUD_CREDENTIALS is empty and this machine has no Google identity of its own. "
                "Give it the path or the text of a service account's key."
            ) from error
    try:
        info: Mapping[str, Any] = json.loads(given if given.lstrip().startswith("{") else Path(given).read_text())
        return service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])  # type: ignore[no-untyped-call]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CredentialsError(
            f"GOOGLE_CLOUD_CREDENTIALS is neither a file nor the JSON of a service account: {error}"
        ) from error


class Key:
    """Credentials that follow their file: when it has changed it is read anew, and what cannot be used leaves those before."""

    def __init__(self, given: str) -> None:
        """`given` as for load_credentials."""
        self._given = given
        self._is_file = bool(given) and not given.lstrip().startswith("{")
        self._seen: tuple[int, ...] = ()
        self._credentials: Any = None

    def credentials(self) -> Any:
        """The same object as long as the key is the same. Raises CredentialsError only as long as there never were any."""
        found = self._stamp()
        if self._credentials is None:
            self._credentials, self._seen = load_credentials(self._given), found
        elif found != self._seen:
            # Noted before it is read, so that one change is told once.
            self._seen = found
            try:
                self._credentials = load_credentials(self._given)
                logger.info("a new key is in use", file=self._given)
            except CredentialsError as error:
                logger.error("the key's file cannot be used; the key before stays in use", error=str(error))  # noqa: TRY400
        return self._credentials

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = os.stat(self._given) if self._is_file else None
        except OSError:
            return ()
        return (found.st_ino, found.st_mtime_ns, found.st_size) if found else ()


class IamSigner(google_credentials.Signing):
    """Has Google sign for a service account whose key is nowhere: IAM's signBlob, one request for each link."""

    def __init__(self, session: AuthorizedSession, *, email: str, url: str = IAM) -> None:
        self._session = session
        self._email = email
        self._url = url

    def sign_bytes(self, message: bytes) -> bytes:
        """Raises SigningError."""
        url = f"{self._url}/v1/projects/-/serviceAccounts/{self._email}:signBlob"
        payload = {"payload": base64.b64encode(message).decode()}
        answer = self._session.post(url, json=payload, timeout=_SIGN_TIMEOUT_S)
        if answer.status_code != 200:
            raise SigningError(f"IAM answered {answer.status_code} for {self._email}: {answer.text[:300]}")
        return base64.b64decode(answer.json()["signedBlob"])

    @property
    def signer_email(self) -> str:
        return self._email

    @property
    def signer(self) -> "IamSigner":
        return self


class _Bucket(Bucket):
    def get_blob(self, blob_name: str, *args: Any, **options: Any) -> Blob | None:
        """Within our deadlines instead of Google's. Raises NotFound where there is no bucket to look into."""
        found: Blob | None = super().get_blob(blob_name, *args, **{"retry": _RETRY, "timeout": _TIMEOUT, **options})
        if found is None:
            self._must_exist()
        return found

    def _must_exist(self) -> None:
        """Listing is what a role for objects allows; looking at a bucket is not."""
        next(iter(self.list_blobs(max_results=1, fields="items(name)", retry=_RETRY, timeout=_TIMEOUT)), None)


class PrivateGoogleStorage(GoogleCloudStorage):
    """Every object is private; `url` makes a link for a few minutes. A storage that is away is told within half a minute."""

    def __init__(
        self, *, given_credentials: str = "", signer_email: str = "", endpoint: str = "", iam_url: str = IAM, **options: Any
    ) -> None:
        """`endpoint` is for stand-ins of Google's own. With `signer_email` links are signed by IAM for that account."""
        self._key, self._signer_email = Key(given_credentials), signer_email
        self._last: _Access | None = None
        self._endpoint, self._iam_url = endpoint, iam_url
        fixed = {"default_acl": None, "querystring_auth": True, "expiration": LINK_HOLDS, "file_overwrite": False}
        super().__init__(**fixed, max_memory_size=_CHUNK, **options)

    @property
    def _access(self) -> "_Access":
        mine, last = self._key.credentials(), self._last
        if last is None or last.credentials is not mine:
            self._last = last = _Access(self, mine)
        return last

    @property
    def client(self) -> Client:
        return self._access.client

    @property
    def bucket(self) -> Bucket:
        return self._access.bucket

    def _save(self, name: str, content: Any) -> str:
        """An object is made once: one that is there already is never written over."""
        cleaned = clean_name(name)
        blob = self.bucket.blob(self._normalize_name(cleaned), chunk_size=_CHUNK)
        blob.cache_control = "private, no-store"
        blob.upload_from_file(
            content,
            rewind=True,
            size=content.size,
            content_type=_content_type(cleaned),
            checksum="crc32c",
            if_generation_match=0,
            timeout=_TIMEOUT,
            retry=_RETRY,
        )
        return str(cleaned)

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return str(clean_name(name))

    def delete(self, name: str) -> None:
        """Nothing is done where there is nothing."""
        blob = self.bucket.get_blob(self._normalize_name(clean_name(name)))
        if blob is not None:
            blob.delete(retry=_RETRY, timeout=_TIMEOUT)

    def url(self, name: str, parameters: Mapping[str, Any] | None = None) -> str:
        """A link that reads this object for `expiration`, 15 minutes unless told otherwise."""
        blob = self.bucket.blob(self._normalize_name(clean_name(name)))
        options = {"expiration": LINK_HOLDS, **(parameters or {})}
        if self._endpoint:
            options["api_access_endpoint"] = self._endpoint
        return str(blob.generate_signed_url(version="v4", credentials=self._access.signing, **options))

    def make_client(self, credentials: Any) -> Client:
        options = {"client_options": {"api_endpoint": self._endpoint}} if self._endpoint else {}
        return Client(project=self.project_id or "_", credentials=credentials, **options)

    def make_signing(self, mine: Any) -> Any:
        """Raises CredentialsError."""
        if isinstance(mine, google_credentials.Signing) and not self._signer_email:
            return mine
        email = self._signer_email or getattr(mine, "service_account_email", "")
        if "@" not in str(email):
            raise CredentialsError("Links cannot be signed: GCS_SIGNER_EMAIL must name the service account that signs them.")
        return IamSigner(AuthorizedSession(mine), email=email, url=self._iam_url)  # type: ignore[no-untyped-call]


class _Access:
    """What a storage makes with one key, and makes anew with the next."""

    def __init__(self, storage: PrivateGoogleStorage, credentials: Any) -> None:
        self._storage, self.credentials = storage, credentials

    @cached_property
    def client(self) -> Client:
        return self._storage.make_client(self.credentials)

    @cached_property
    def bucket(self) -> Bucket:
        return _Bucket(self.client, self._storage.bucket_name)

    @cached_property
    def signing(self) -> Any:
        return self._storage.make_signing(self.credentials)


def _content_type(name: str) -> str:
    known = {
        ".ogg": "audio/ogg",
        ".json": "application/json",
        ".csv": "text/csv",
        ".pdf": "application/pdf",
        ".txt": "text/plain",
    }
    return known.get(Path(name).suffix.lower(), "application/octet-stream")
