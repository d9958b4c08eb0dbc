"""Settings of the management commands that are not the worker's: the web's, with a connection that fails at once."""

from voiceplatform.settings.web import *  # noqa: F403
from voiceplatform.settings.web import DATABASES

DATABASES["default"]["OPTIONS"].pop("pool")  # type: ignore[attr-defined]
