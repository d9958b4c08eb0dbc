"""The processes that hold conversations."""

from typing import Any

from django.db import models
from django.db.models import Q

from tenants.models import UUIDModel


class WorkerHost(UUIDModel):
    """One process that runs jobs. Global: a host serves every tenant. All times are the database's.

    Two beats are kept, because a job that began while a beat was being put together is missing from that one.
    """

    class Transport(models.TextChoices):
        LIVEKIT = "livekit", "LiveKit"
        LOCAL = "local", "local"

    public_prefix = "host"

    name = models.CharField(max_length=120, help_text="Machine and process, e.g. voice-1:4242.")
    transport = models.CharField(max_length=7, choices=Transport)
    slots = models.PositiveIntegerField(help_text="Calls it holds at once.")
    started_at = models.DateTimeField()
    last_beat_at = models.DateTimeField()
    previous_beat_at = models.DateTimeField(null=True, blank=True)
    job_ids: Any = models.JSONField(default=list)
    previous_job_ids: Any = models.JSONField(default=list)
    spooled_call_ids: Any = models.JSONField(default=list, help_text="Calls whose records it still has to hand in.")
    draining = models.BooleanField(default=False, help_text="Was told to stop: takes no new calls and lets running ones end.")
    versions: Any = models.JSONField(default=dict, help_text="What it runs on, by name, e.g. python or livekit-agents.")
    memory_mb = models.PositiveIntegerField(default=0, help_text="Of all its jobs together, at the last beat.")
    peak_job_mb = models.PositiveIntegerField(default=0, help_text="The most that one job was seen to use.")
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-started_at"]
        indexes = [models.Index(fields=["last_beat_at"], name="workerhost_serving", condition=Q(retired_at=None))]

    def __str__(self) -> str:
        return self.name


class SweepRun(UUIDModel):
    """When the sweeps last ran, and since when they have run without a long gap. Global: one row.

    After a gap, such as a database that was away, silence of a host means nothing until the sweeps have run
    steadily for a while.
    """

    name = models.CharField(max_length=40, unique=True)
    last_run_at = models.DateTimeField()
    steady_since = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
