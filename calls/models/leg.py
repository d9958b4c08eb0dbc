"""One party's connection in a call, and the line it takes up."""

from django.db import models
from django.db.models import F, Q

from calls.models.call import Call
from calls.models.trunk import TrunkGrant
from tenants.models import TenantForeignKey, TenantModel, tenant_key


class Leg(TenantModel):
    """A phone in a call's room. `carrier_id` is the id it has on the LiveKit server and in the carrier's log."""

    class Role(models.TextChoices):
        CALLER = "caller", "caller"
        CALLEE = "callee", "callee"
        TARGET = "target", "transfer target"

    public_prefix = "leg"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="legs", db_constraint=False)
    role = models.CharField(max_length=6, choices=Role)
    identity = models.CharField(max_length=120, help_text="The participant's in the room.")
    phone = models.CharField(max_length=40, blank=True)
    carrier_id = models.CharField(max_length=120, blank=True)
    started_at = models.DateTimeField()
    ringing_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=60, blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["started_at", "id"]
        constraints = [
            tenant_key("leg"),
            TenantForeignKey(field="call", name="leg_call_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "call", "identity"], name="leg_once"),
            models.CheckConstraint(name="leg_ends_for_a_reason", condition=Q(ended_at=None, end_reason="") | ~Q(end_reason="")),
            models.CheckConstraint(name="leg_ends_after_it_began", condition=Q(ended_at=None) | Q(ended_at__gte=F("started_at"))),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.phone}".strip()


class LineSlot(TenantModel):
    """A channel of a trunk that an open call takes up; gone when the leg has ended."""

    public_prefix = "lin"

    grant = models.ForeignKey(TrunkGrant, on_delete=models.PROTECT, related_name="slots", db_constraint=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="slots", db_constraint=False)
    role = models.CharField(max_length=6, choices=Leg.Role)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("lineslot"),
            TenantForeignKey(field="grant", name="lineslot_grant_same_tenant"),
            TenantForeignKey(field="call", name="lineslot_call_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "call", "role"], name="lineslot_once"),
        ]
        indexes = [models.Index(fields=["tenant", "grant"], name="lineslot_of_grant")]

    def __str__(self) -> str:
        return f"line of {self.call_id}"
