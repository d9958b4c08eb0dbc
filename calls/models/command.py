"""What somebody outside wants of a running call."""

from django.db import models
from django.db.models import Q

from calls.models.call import Call
from tenants.models import TenantForeignKey, TenantModel, User, tenant_key


class CallCommand(TenantModel):
    """An instruction to the job that holds the call, taken once.

    A chat's messages wait here too: `text` is what was written, until the job takes it; then `turn` is its place in the
    transcript, and `answered_at` when the agent had said everything it had to say to it.
    """

    class Kind(models.TextChoices):
        HANG_UP = "hang_up", "hang up"
        MESSAGE = "message", "message"

    public_prefix = "cmd"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="commands", db_constraint=False)
    kind = models.CharField(max_length=20, choices=Kind)
    actor = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500, blank=True)
    text = models.TextField(blank=True)
    turn = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()
    taken_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["created_at", "id"]
        constraints = [
            tenant_key("callcommand"),
            TenantForeignKey(field="call", name="callcommand_call_same_tenant"),
            models.UniqueConstraint(
                fields=["tenant", "call", "kind"], name="callcommand_one_waiting", condition=Q(taken_at=None) & ~Q(kind="message")
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="callcommand_waiting", condition=Q(taken_at=None))]

    def __str__(self) -> str:
        return self.kind
