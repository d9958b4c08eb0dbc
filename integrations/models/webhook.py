"""Where a tenant wants its news sent, and each piece of news on its way there."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from tenants.models import EncryptedTextField, TenantForeignKey, TenantModel, tenant_key


class WebhookEndpoint(TenantModel):
    """An address of the customer's that events are posted to, signed with `secret`.

    `failing_since` is when the attempts since the last success began to fail. While one process sends, it holds the
    lease; an endpoint that does not answer rests until `rests_until`.
    """

    class Status(models.TextChoices):
        ENABLED = "enabled", "enabled"
        DISABLED = "disabled", "disabled"

    public_prefix = "whe"
    # What changes as deliveries come and go, and nobody edits.
    unversioned: ClassVar[frozenset[str]] = frozenset(
        {"failing_since", "failures", "warned_at", "last_success_at", "rests_until", "lease", "leased_until"}
    )

    url = models.CharField(max_length=2048, help_text="Events are posted here, e.g. https://example.com/hooks/voice.")
    description = models.CharField(max_length=300, blank=True, help_text="What receives them, e.g. CRM.")
    event_types: Any = ArrayField(
        models.CharField(max_length=60), default=list, blank=True, help_text="Which events are sent; empty for all."
    )
    secret: Any = EncryptedTextField()
    previous_secret: Any = EncryptedTextField(null=True)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    status = models.CharField(max_length=8, choices=Status, default=Status.ENABLED, editable=False)
    disabled_reason = models.CharField(max_length=300, blank=True, editable=False)
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    metadata: Any = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="Attempts that failed since the last success.")
    warned_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When its people were told that it fails.")
    last_success_at = models.DateTimeField(null=True, blank=True, editable=False)
    rests_until = models.DateTimeField(null=True, blank=True, editable=False)
    lease = models.UUIDField(null=True, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [
            tenant_key("webhookendpoint"),
            models.CheckConstraint(
                name="webhookendpoint_disabled_iff_reason",
                condition=Q(status="enabled", disabled_reason="", disabled_at=None)
                | (Q(status="disabled", disabled_at__isnull=False) & ~Q(disabled_reason="")),
            ),
            models.CheckConstraint(
                name="webhookendpoint_previous_secret_ends",
                condition=Q(previous_secret__isnull=True, previous_secret_until=None)
                | Q(previous_secret__isnull=False, previous_secret_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(TenantModel):
    """One event on its way to one endpoint. `event_id` is told to the receiver and stays the same over retries.

    `payload` is what is posted. A delivery is due only when those of the same object and endpoint with a smaller
    `sequence` are settled.
    """

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        DONE = "done", "done"
        DEAD = "dead", "dead"

    public_prefix = "whd"

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", db_constraint=False)
    event_id = models.UUIDField()
    event_type = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40)
    object_id = models.UUIDField()
    sequence = models.PositiveBigIntegerField()
    payload: Any = models.JSONField()
    status = models.CharField(max_length=7, choices=Status, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField()
    lease = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    first_attempt_at = models.DateTimeField(null=True, blank=True, help_text="Of those since it was last queued.")
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    last_status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="The HTTP status of the last answer.")
    last_answer = models.TextField(blank=True, help_text="The beginning of the last answer's body.")
    last_error = models.TextField(blank=True)
    last_duration_ms = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name_plural = "webhook deliveries"
        ordering = ["-id"]
        constraints = [
            tenant_key("webhookdelivery"),
            TenantForeignKey(field="endpoint", name="webhookdelivery_endpoint_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "endpoint", "event_id"], name="webhookdelivery_once"),
            models.CheckConstraint(
                name="webhookdelivery_settled_iff_not_pending",
                condition=Q(status="pending", settled_at=None) | (~Q(status="pending") & Q(settled_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "endpoint", "next_at"], name="webhookdelivery_due", condition=Q(status="pending")),
            models.Index(
                fields=["tenant", "endpoint", "object_type", "object_id", "sequence"],
                name="webhookdelivery_order",
                condition=Q(status="pending"),
            ),
            models.Index(fields=["tenant", "endpoint", "-id"], name="webhookdelivery_newest"),
            models.Index(fields=["created_at"], name="webhookdelivery_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} #{self.sequence} ({self.status})"
