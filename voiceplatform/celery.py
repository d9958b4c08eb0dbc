"""The Celery application: loads every app's tasks and outbox handlers by name."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceplatform.settings.web")

app = Celery("voiceplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.include = [
    "tenants.tasks",
    "integrations.tasks",
    "calls.tasks",
    "tenants.handlers",
    "integrations.handlers",
    "agents.handlers",
    "calls.handlers",
    "analytics.handlers",
]
