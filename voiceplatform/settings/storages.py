"""Where files are kept: on this machine's disk, or in Google Cloud Storage.

For each purpose there is the place new files go to, and each place by its own name, so that what lies elsewhere is found:
`recordings`, `recordings-files` and, where a bucket is named, `recordings-gcs`.
"""

from pathlib import Path
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from voiceplatform.settings import env

PURPOSES: Final = ("recordings", "knowledge", "exports")
FILES, GCS = "files", "gcs"


def storages(*, files: Path, place: str, credentials: str) -> dict[str, Any]:
    """Entries of Django's STORAGES."""
    found: dict[str, Any] = {}
    for purpose in PURPOSES:
        bucket = env.text(f"GCS_{purpose.upper()}_BUCKET", "") or env.text("GCS_BUCKET", "")
        if place == GCS and not bucket:
            raise ImproperlyConfigured(f"VP_STORAGE=gcs needs a bucket for {purpose}. Example: GCS_BUCKET=my-company-voice")
        found[f"{purpose}-{FILES}"] = _on_disk(files / purpose)
        if bucket:
            found[f"{purpose}-{GCS}"] = _in_bucket(bucket, location=purpose, credentials=credentials)
        found[purpose] = found[f"{purpose}-{place}"]
    return found


def _on_disk(folder: Path) -> dict[str, Any]:
    options = {"location": folder, "file_permissions_mode": 0o600, "directory_permissions_mode": 0o700}
    return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}


def _in_bucket(bucket: str, *, location: str, credentials: str) -> dict[str, Any]:
    options = {
        "bucket_name": bucket,
        "location": location,
        "given_credentials": credentials,
        "signer_email": env.text("GCS_SIGNER_EMAIL", ""),
        "endpoint": env.text("GCS_ENDPOINT", ""),
    }
    if iam_url := env.text("GCS_IAM_URL", ""):
        options["iam_url"] = iam_url
    return {"BACKEND": "voiceplatform.lib.gcs.PrivateGoogleStorage", "OPTIONS": options}
