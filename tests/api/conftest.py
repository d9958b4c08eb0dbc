import pytest

from tests.api.matrix import PHONE


@pytest.fixture(autouse=True)
def _files(settings, tmp_path):
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"recordings": backend}


@pytest.fixture(autouse=True)
def _server(settings):
    """A LiveKit server that nobody asks for anything: browsers may be let in."""
    settings.LIVEKIT_URL = settings.LIVEKIT_PUBLIC_URL = "ws://127.0.0.1:1"
    settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET = "devkey", "a-secret-of-at-least-32-characters"


@pytest.fixture(autouse=True)
def _carrier(vonage):
    """Vonage, with the number the table of addresses is about to buy."""
    vonage.offer(PHONE.removeprefix("+"))
