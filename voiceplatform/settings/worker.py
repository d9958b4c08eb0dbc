"""Settings of the voice worker: no admin, no API, no Celery tasks."""

from voiceplatform.settings.base import *  # noqa: F403
from voiceplatform.settings.base import INSTALLED_APPS as SHARED_APPS

INSTALLED_APPS = [*SHARED_APPS, "voice_worker"]
