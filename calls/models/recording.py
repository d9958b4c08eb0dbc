"""The sound of a call."""

from django.db import models
from django.db.models import Q

from calls.models.call import Call
from calls.models.journaled import JournaledModel
from tenants.models import TenantForeignKey, tenant_key


class Recording(JournaledModel):
    """The call's recording: spooled on its host, stored in the `recordings` storage, or lost.

    `spool_path` is where the host wrote it, `file` its name in the storage.
    """

    class State(models.TextChoices):
        SPOOLED = "spooled", "spooled"
        STORED = "stored", "stored"
        LOST = "lost", "lost"

    public_prefix = "rec"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="recordings", db_constraint=False)
    state = models.CharField(max_length=7, choices=State)
    spool_path = models.CharField(max_length=500, blank=True)
    file = models.CharField(max_length=300, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    size = models.PositiveBigIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    detail = models.TextField(blank=True)
    stored_at = models.DateTimeField(null=True, blank=True)

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
            models.CheckConstraint(name="recording_lost_says_why", condition=~Q(state="lost") | ~Q(detail="")),
        ]

    def __str__(self) -> str:
        return f"{self.public_id} ({self.state})"
