"""The sound of a call."""

from django.db import models
from django.db.models import Q

from calls.models.call import Call
from calls.models.journaled import JournaledModel
from tenants.models import TenantForeignKey, tenant_key


class Recording(JournaledModel):
    """The call's recording: spooled on its host, stored in the `recordings` storage, or lost; deleted when its time is over.

    `spool_path` is where the host wrote it, `file` its name in the storage. While the storage does not take it, `problem`
    is one of `calls.storage_problems` and `detail` says it in the storage's own words. One that is `cut_short` ended
    before the call did; `detail` says why. `place` is the storage it lies in; after a move an old copy is `left_at` another.
    """

    class State(models.TextChoices):
        MAKING = "making", "being made"
        SPOOLED = "spooled", "spooled"
        STORED = "stored", "stored"
        LOST = "lost", "lost"
        DELETED = "deleted", "deleted"

    class Maker(models.TextChoices):
        JOB = "job", "the worker"
        EGRESS = "egress", "LiveKit"

    class Copy(models.TextChoices):
        """Where the copy without silences is."""

        NONE = "", "not asked for"
        ASKED = "asked", "asked for"
        MAKING = "making", "being made"
        MADE = "made", "made"
        FAILED = "failed", "failed"

    public_prefix = "rec"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="recordings", db_constraint=False)
    state = models.CharField(max_length=7, choices=State)
    maker = models.CharField(max_length=6, choices=Maker, default=Maker.JOB)
    egress_id = models.CharField(max_length=120, blank=True)
    spool_path = models.CharField(max_length=500, blank=True)
    file = models.CharField(max_length=300, blank=True)
    place = models.CharField(max_length=5, default="files")
    left_at = models.CharField(max_length=5, blank=True)
    moved_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    size = models.PositiveBigIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    detail = models.TextField(blank=True)
    copy = models.CharField(max_length=6, choices=Copy, blank=True, default="")
    copy_asked_at = models.DateTimeField(null=True, blank=True)
    copy_size = models.PositiveBigIntegerField(null=True, blank=True)
    copy_sha256 = models.CharField(max_length=64, blank=True)
    copy_duration_ms = models.PositiveIntegerField(null=True, blank=True)
    copy_detail = models.TextField(blank=True)
    cut_short = models.BooleanField(default=False)
    problem = models.CharField(max_length=20, blank=True)
    tries = models.PositiveIntegerField(default=0)
    tried_at = models.DateTimeField(null=True, blank=True)
    stored_at = models.DateTimeField(null=True, blank=True)
    keep_until = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta(JournaledModel.Meta):
        constraints = [
            tenant_key("recording"),
            TenantForeignKey(field="call", name="recording_call_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "call"], name="recording_once"),
            models.CheckConstraint(
                name="recording_spooled_has_a_file",
                condition=~Q(state="spooled") | (~Q(spool_path="") & ~Q(sha256="") & Q(size__isnull=False)),
            ),
            models.CheckConstraint(
                name="recording_stored_iff_file",
                condition=(Q(state="stored", stored_at__isnull=False) & ~Q(file="") & ~Q(sha256=""))
                | (~Q(state="stored") & Q(stored_at=None, file="")),
            ),
            models.CheckConstraint(
                name="recording_deleted_at_some_time",
                condition=Q(state="deleted", deleted_at__isnull=False) | (~Q(state="deleted") & Q(deleted_at=None)),
            ),
            models.CheckConstraint(name="recording_left_when_moved", condition=Q(left_at="") | Q(moved_at__isnull=False)),
            models.CheckConstraint(
                name="recording_copy_of_what_is_stored", condition=Q(copy="") | Q(state="stored", copy_asked_at__isnull=False)
            ),
            models.CheckConstraint(
                name="recording_copy_has_facts",
                condition=~Q(copy="made") | (Q(copy_size__isnull=False, copy_duration_ms__isnull=False) & ~Q(copy_sha256="")),
            ),
            models.UniqueConstraint(fields=["tenant", "egress_id"], condition=~Q(egress_id=""), name="recording_of_egress"),
            models.CheckConstraint(name="recording_made_by_egress", condition=~Q(state="making") | Q(maker="egress")),
            models.CheckConstraint(name="recording_lost_says_why", condition=~Q(state="lost") | ~Q(detail="")),
        ]
        indexes = [
            models.Index(fields=["tenant"], name="recording_being_made", condition=Q(state="making")),
            models.Index(fields=["tenant", "keep_until"], name="recording_kept_until", condition=Q(keep_until__isnull=False)),
            models.Index(fields=["tenant", "stored_at"], name="recording_stored_at", condition=Q(state="stored")),
            models.Index(fields=["moved_at"], name="recording_left_behind", condition=~Q(left_at="")),
            models.Index(fields=["copy_asked_at"], name="recording_copy_waits", condition=Q(copy__in=["asked", "making"])),
        ]

    def __str__(self) -> str:
        return f"{self.public_id} ({self.state})"
