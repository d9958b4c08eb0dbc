"""People of the staff in running calls."""

from django.db import models
from django.db.models import F, Q

from calls.models.call import Call
from tenants.models import TenantForeignKey, TenantModel, User, tenant_key


class Supervision(TenantModel):
    """One admission of a member of the staff to a call's room: to listen unseen, or to take the agent's place.

    It is used once: `participant_sid` is who came in with it, and nobody else may. `left_at` is when they went, or when the
    call was over.
    """

    class Mode(models.TextChoices):
        LISTEN = "listen", "listen"
        TAKE_OVER = "take_over", "take over"

    public_prefix = "sup"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="supervisions", db_constraint=False)
    mode = models.CharField(max_length=9, choices=Mode)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="They come in by then or not at all.")
    participant_sid = models.CharField(max_length=60, blank=True)
    joined_at = models.DateTimeField(null=True, blank=True)
    left_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["created_at", "id"]
        permissions = [
            ("listen_call", "Can listen to a running call"),
            ("take_over_call", "Can take over a running call from the agent"),
        ]
        constraints = [
            tenant_key("supervision"),
            TenantForeignKey(field="call", name="supervision_call_same_tenant"),
            models.CheckConstraint(name="supervision_expires", condition=Q(expires_at__gt=F("created_at"))),
        ]

    def __str__(self) -> str:
        return f"{self.mode} {self.call_id}"
