"""Settings of the web process, Celery and every command that is not the worker's."""

from datetime import timedelta
from typing import Any

from voiceplatform.settings import env
from voiceplatform.settings.api import DRF_STANDARDIZED_ERRORS, REST_FRAMEWORK, SPECTACULAR_SETTINGS  # noqa: F401
from voiceplatform.settings.base import *  # noqa: F403
from voiceplatform.settings.base import BASE_DIR, DATABASES, LIVEKIT_URL, REDIS_URL
from voiceplatform.settings.base import INSTALLED_APPS as SHARED_APPS
from voiceplatform.settings.base import STORAGES as SHARED_STORAGES
from voiceplatform.settings.unfold import UNFOLD  # noqa: F401

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    *SHARED_APPS,
    "campaigns",
    "analytics",
    "voiceplatform",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "voiceplatform.middleware.RequestIdMiddleware",
    "voiceplatform.api.middleware.ApiMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "voiceplatform.middleware.StaffTenantMiddleware",
]

ROOT_URLCONF = "voiceplatform.urls"
WSGI_APPLICATION = "voiceplatform.wsgi.application"
LOGIN_REDIRECT_URL = "admin:index"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES["default"]["OPTIONS"] = {
    **DATABASES["default"].get("OPTIONS", {}),  # type: ignore[dict-item]
    "pool": {"min_size": 1, "max_size": env.number("DATABASE_POOL_SIZE", 8, minimum=1), "timeout": 10},
}

# Shown beside every page's title: embedded, staging, production or what the installation is called.
VP_ENVIRONMENT = env.text(
    "VP_ENVIRONMENT", "embedded" if (env.HOME / "run" / "env").is_file() else "production", example="staging"
)

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static-collected"
STORAGES = SHARED_STORAGES | {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.flag("SECURE_COOKIES", default=False)
SESSION_COOKIE_AGE = int(timedelta(hours=12).total_seconds())
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", [], example="https://voice.example.com")

globals().update(env.mail())
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("EMAIL_FROM", "voice-platform@localhost", example="voice@example.com")
# Told what no member of a tenant can be told.
VP_OPERATOR_EMAILS = env.words("VP_OPERATOR_EMAILS", [], example="ops@example.com")
# What `listen_webhooks` verifies signatures with, on a developer's machine.
VP_WEBHOOK_SECRET = env.text("VP_WEBHOOK_SECRET", "")
# Where people reach the console and the API; links in mails begin with it.
VP_WEB_URL = env.text("VP_WEB_URL", "http://127.0.0.1:8000", example="https://voice.example.com")

# Bodies of the API and of forms; files go another way.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
VP_PROXIES = env.number("VP_PROXIES", 0)
VP_REQUEST_LOG_DAYS = env.number("VP_REQUEST_LOG_DAYS", 30, minimum=1)
VP_WEBHOOK_LOG_DAYS = env.number("VP_WEBHOOK_LOG_DAYS", 30, minimum=1)
VP_JOB_ERROR_DAYS = env.number("VP_JOB_ERROR_DAYS", 30, minimum=1)
VP_IMPORT_MAX_MB = env.number("VP_IMPORT_MAX_MB", 20, minimum=1)

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    "outbox-sweep": {"task": "tenants.tasks.sweep_outbox", "schedule": 5.0, "options": {"expires": 5}},
    "requests-sweep": {"task": "tenants.tasks.forget_old_requests", "schedule": 3600.0, "options": {"expires": 3600}},
    "jobs-sweep": {"task": "tenants.tasks.sweep_jobs", "schedule": 10.0, "options": {"expires": 10}},
    "jobs-errors": {"task": "tenants.tasks.forget_old_job_errors", "schedule": 3600.0, "options": {"expires": 3600}},
    "webhooks-sweep": {"task": "integrations.tasks.sweep_webhooks", "schedule": 5.0, "options": {"expires": 5}},
    "webhooks-log": {"task": "integrations.tasks.forget_old_deliveries", "schedule": 3600.0, "options": {"expires": 3600}},
    "calls-dispatch": {"task": "calls.tasks.dispatch_calls", "schedule": 5.0, "options": {"expires": 5}},
    "provider-events-log": {
        "task": "calls.tasks.forget_old_provider_events",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "recordings-left-behind": {"task": "calls.tasks.remove_left_behind", "schedule": 600.0, "options": {"expires": 600}},
    "recordings-trimming": {"task": "calls.tasks.wake_trimming", "schedule": 60.0, "options": {"expires": 60}},
    "recordings-retention": {"task": "calls.tasks.delete_old_recordings", "schedule": 3600.0, "options": {"expires": 3600}},
    "calls-sweep": {"task": "calls.tasks.sweep_calls", "schedule": 5.0, "options": {"expires": 5}},
}
if LIVEKIT_URL:
    CELERY_BEAT_SCHEDULE |= {
        "telephony-sync": {"task": "calls.tasks.sync_telephony", "schedule": 15.0, "options": {"expires": 15}},
        "rooms-sweep": {"task": "calls.tasks.reconcile_rooms", "schedule": 10.0, "options": {"expires": 10}},
        "egress-sweep": {"task": "calls.tasks.reconcile_egress", "schedule": 30.0, "options": {"expires": 30}},
        "provider-events": {"task": "calls.tasks.handle_provider_events", "schedule": 10.0, "options": {"expires": 10}},
    }
