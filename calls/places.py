"""Where a file lies: on the disk or in the bucket, wherever new ones go now."""

from django.conf import settings
from django.core.files.storage import Storage, storages
from django.core.files.storage.handler import InvalidStorageError

from calls.errors import NoSuchPlaceError


def place_now() -> str:
    """Where new files go."""
    place: str = settings.VP_STORAGE
    return place


def storage_at(place: str, *, purpose: str = "recordings") -> Storage:
    """Raises NoSuchPlaceError for a place that the settings do not name."""
    try:
        return storages[purpose if place == place_now() else f"{purpose}-{place}"]
    except InvalidStorageError as error:
        raise NoSuchPlaceError(f"There are {purpose} in {place!r}, which the settings no longer name: set GCS_BUCKET.") from error
