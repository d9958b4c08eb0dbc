"""News for other apps, kept in the transaction of the change it tells of."""

from typing import Any

from django.db import models
from django.db.models import Q

from tenants.models.base import TenantForeignKey, TenantModel, tenant_key


class OutboxSequence(TenantModel):
    """The number of the newest event of one object; its row lock makes numbers follow commit order."""

    object_type = models.CharField(max_length=40)
    object_id = models.UUIDField()
    last = models.PositiveBigIntegerField()

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("outboxsequence"),
            models.UniqueConstraint(fields=["tenant", "object_type", "object_id"], name="outboxsequence_once"),
        ]

    def __str__(self) -> str:
        return f"{self.object_type} {self.object_id}: {self.last}"


class OutboxEvent(TenantModel):
    """Something that happened to one object."""

    public_prefix = "evt"

    topic = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40)
    object_id = models.UUIDField()
    sequence = models.PositiveBigIntegerField()
    data: Any = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("outboxevent"),
            models.UniqueConstraint(fields=["tenant", "object_type", "object_id", "sequence"], name="outboxevent_sequence_once"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} #{self.sequence}"


class OutboxDelivery(TenantModel):
    """One event on its way to one subscriber; object and sequence are the event's, for the order of deliveries."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        DONE = "done", "done"
        DEAD = "dead", "dead"

    public_prefix = "dlv"

    event = models.ForeignKey(OutboxEvent, on_delete=models.CASCADE, related_name="deliveries", db_constraint=False)
    subscriber = models.CharField(max_length=80)
    object_type = models.CharField(max_length=40)
    object_id = models.UUIDField()
    sequence = models.PositiveBigIntegerField()
    status = models.CharField(max_length=7, choices=Status, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField()
    lease = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name_plural = "outbox deliveries"
        constraints = [
            tenant_key("outboxdelivery"),
            TenantForeignKey(field="event", name="outboxdelivery_event_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "event", "subscriber"], name="outboxdelivery_once"),
            models.CheckConstraint(
                name="outboxdelivery_settled_iff_not_pending",
                condition=Q(status="pending", settled_at=None) | (~Q(status="pending") & Q(settled_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], name="outboxdelivery_due", condition=Q(status="pending")),
            models.Index(
                fields=["tenant", "subscriber", "object_type", "object_id", "sequence"],
                name="outboxdelivery_order",
                condition=Q(status="pending"),
            ),
            models.Index(fields=["tenant", "-next_at"], name="outboxdelivery_dead", condition=Q(status="dead")),
        ]

    def __str__(self) -> str:
        return f"{self.subscriber} #{self.sequence} ({self.status})"
