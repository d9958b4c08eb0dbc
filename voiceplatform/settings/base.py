"""Settings every process shares."""

import os

from voiceplatform.lib.logs import logging_config
from voiceplatform.settings import env
from voiceplatform.settings.storages import storages

BASE_DIR = env.PROJECT
VP_HOME = env.HOME
VP_MODELS = env.path("VP_MODELS", env.PROJECT / ".vp" / "models")
VP_SPOOL = env.path("VP_SPOOL", VP_HOME / "spool")
VP_FILES = env.path("VP_FILES", VP_HOME / "files")

DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY", example="a long random string")
# What stored secrets are encrypted with: the first key encrypts, all of them decrypt. Asked for when one is stored or read.
FIELD_ENCRYPTION_KEYS = env.words("FIELD_ENCRYPTION_KEYS", [])
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"], example="voice.example.com")

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "tenants",
    "integrations",
    "knowledge",
    "agents",
    "calls",
]

DATABASES = {"default": env.database() | {"CONN_HEALTH_CHECKS": True}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "tenants.User"

REDIS_URL = env.text("REDIS_URL", example="redis://:password@127.0.0.1:6379/0")

LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"

GOOGLE_CLOUD_PROJECT = env.text("GOOGLE_CLOUD_PROJECT", "")
GOOGLE_CLOUD_LOCATION = env.text("GOOGLE_CLOUD_LOCATION", "global")
GOOGLE_CLOUD_CREDENTIALS = env.text("GOOGLE_CLOUD_CREDENTIALS", "")

# Where new files go: on this machine's disk, or into Google Cloud Storage.
VP_STORAGE = env.one_of("VP_STORAGE", ("files", "gcs"), "files")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": VP_FILES}},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    **storages(files=VP_FILES, place=VP_STORAGE, credentials=GOOGLE_CLOUD_CREDENTIALS),
}

# Where the local speech process and the local language model answer; empty where they do not run.
VP_SPEECH_URL = env.text("VP_SPEECH_URL", "")
VP_BRAIN_URL = env.text("VP_BRAIN_URL", "")
VP_BRAIN = env.one_of("VP_BRAIN", ("default", "small"), "default")
VP_LOCAL_CALLS = env.number("VP_LOCAL_CALLS", max(1, (os.cpu_count() or 2) // 2), minimum=1)
VP_LOCAL_CHATS = env.number("VP_LOCAL_CHATS", 8, minimum=1)
# A job that uses more MB is killed, and its call ends as worker_lost; 0 sets no limit.
VP_JOB_MEMORY_MB = env.number("VP_JOB_MEMORY_MB", 1024)
VP_TEST_PROVIDERS = False
# Shortens all the waits after which workers, jobs and rooms are taken for lost: to rehearse faults quickly.
VP_TIMERS_PERCENT = env.number("VP_TIMERS_PERCENT", 100, minimum=5)

GEMINI_API_KEY = env.text("GEMINI_API_KEY", "")
OPENAI_API_KEY = env.text("OPENAI_API_KEY", "")
ELEVEN_API_KEY = env.text("ELEVEN_API_KEY", "")

LIVEKIT_URL = env.text("LIVEKIT_URL", "")
# Where browsers reach the server, if they do by another address than we.
LIVEKIT_PUBLIC_URL = env.text("LIVEKIT_PUBLIC_URL", LIVEKIT_URL)
LIVEKIT_API_KEY = env.text("LIVEKIT_API_KEY", "")
LIVEKIT_API_SECRET = env.text("LIVEKIT_API_SECRET", "")
# The host that carriers send inbound calls to; empty where LiveKit takes none.
LIVEKIT_SIP_HOST = env.text("LIVEKIT_SIP_HOST", "")

# What LiveKit's egress service writes recordings into the bucket with, as JSON; empty takes the service's own identity.
EGRESS_GOOGLE_CREDENTIALS = env.text("EGRESS_GOOGLE_CREDENTIALS", "")

VONAGE_BASE_URL = env.text("VONAGE_BASE_URL", "https://rest.nexmo.com")

# Lets addresses that customers give lead to this machine itself, also by http: for development only.
VP_OUTBOUND_LOOPBACK = env.flag("VP_OUTBOUND_LOOPBACK", default=False)

TOOLS_DECIDED_BY_BACKEND = env.flag("TOOLS_DECIDED_BY_BACKEND", default=True)

LOGGING = logging_config(
    level=env.one_of("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
    as_json=env.one_of("LOG_FORMAT", ("json", "console"), "console") == "json",
)
