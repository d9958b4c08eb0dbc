"""Long work: how far it has come, and what went wrong on the way."""

from typing import Any

from django.db import models
from django.db.models import F, Q

from tenants.models.base import TenantForeignKey, TenantModel, tenant_key
from tenants.models.tenant import User


class Job(TenantModel):
    """Work that goes on after it was asked for, in steps.

    `position` is where the next step begins. While one process works, it holds the lease; a lapsed one may be taken over.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"
        CANCELED = "canceled", "canceled"

    OPEN = (State.QUEUED, State.RUNNING)

    public_prefix = "job"

    kind = models.CharField(max_length=40)
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    options: Any = models.JSONField(default=dict)
    position = models.CharField(max_length=64, blank=True)
    done = models.PositiveIntegerField(default=0, help_text="How much of the total has been worked on.")
    total = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0, help_text="How much of what is done was refused.")
    result: Any = models.JSONField(default=dict)
    error = models.CharField(max_length=500, blank=True, help_text="Why the job as a whole failed.")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_by_key = models.UUIDField(null=True, blank=True, help_text="The API key it was asked for with; empty for people.")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="How often it was taken up since its last step.")
    lease = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [
            tenant_key("job"),
            models.CheckConstraint(
                name="job_finished_iff_not_open",
                condition=Q(state__in=("queued", "running"), finished_at=None)
                | (~Q(state__in=("queued", "running")) & Q(finished_at__isnull=False, lease=None)),
            ),
            models.CheckConstraint(
                name="job_failed_iff_error", condition=Q(state="failed") & ~Q(error="") | ~Q(state="failed") & Q(error="")
            ),
            models.CheckConstraint(name="job_refused_some_of_what_is_done", condition=Q(failed__lte=F("done"))),
        ]
        indexes = [
            models.Index(fields=["id"], name="job_open", condition=Q(state__in=("queued", "running"))),
            models.Index(fields=["finished_at"], name="job_oldest"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN

    @property
    def percent(self) -> int:
        if self.state == self.State.SUCCEEDED:
            return 100
        return min(100, 100 * self.done // self.total) if self.total else 0


class JobInput(TenantModel):
    """A piece of what a job works on, kept until it has finished."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="inputs", db_constraint=False)
    number = models.PositiveIntegerField()
    rows: Any = models.JSONField()

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("jobinput"),
            TenantForeignKey(field="job", name="jobinput_job_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "job", "number"], name="jobinput_once"),
        ]

    def __str__(self) -> str:
        return f"piece {self.number}"


class JobError(TenantModel):
    """Something in the input of a job that was refused."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="errors", db_constraint=False)
    row = models.PositiveIntegerField(help_text="As a spreadsheet counts: 1 is the header.")
    field = models.CharField(max_length=60, blank=True)
    message = models.CharField(max_length=300)

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("joberror"),
            TenantForeignKey(field="job", name="joberror_job_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "job", "row"], name="joberror_once"),
        ]

    def __str__(self) -> str:
        return f"row {self.row}: {self.message}"
