import pytest

from tests.api.matrix import PHONE


@pytest.fixture(autouse=True)
def _files(settings, tmp_path):
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"recordings": backend}


@pytest.fixture(autouse=True)
def _carrier(vonage):
    """Vonage, with the number the table of addresses is about to buy."""
    vonage.offer(PHONE.removeprefix("+"))
