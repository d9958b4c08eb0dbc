"""The Celery application: loads every app's tasks and outbox handlers by name."""

import os
from typing import Any

from celery import Celery
from celery.fixups.django import DjangoFixup, DjangoWorkerFixup  # type: ignore[attr-defined]
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceplatform.settings.web")


class TaskConnections(DjangoWorkerFixup):
    """A task's connection goes back to the pool of its process. Celery's own way closes the pool, under the webhooks' threads."""

    def close_database(self, **_: Any) -> None:
        connections.close_all()


app = Celery("voiceplatform", fixups=[])
# Signals hold it weakly.
django_fixup = DjangoFixup(app)
django_fixup.install()
django_fixup.worker_fixup = TaskConnections(app)  # type: ignore[misc]
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
