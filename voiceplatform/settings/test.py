"""Settings of the test suite: everything installed, test providers allowed."""

from voiceplatform.settings.web import *  # noqa: F403
from voiceplatform.settings.web import INSTALLED_APPS as WEB_APPS
from voiceplatform.settings.web import STORAGES as WEB_STORAGES

INSTALLED_APPS = [*WEB_APPS, "voice_worker"]
VP_TEST_PROVIDERS = True
FIELD_ENCRYPTION_KEYS = ["Zm9yIHRoZSB0ZXN0IHN1aXRlOiBub3QgYSBzZWNyZXQ"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Pages are rendered without collecting static files first.
STORAGES = WEB_STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_AUTOREFRESH = True
