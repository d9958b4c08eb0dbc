"""Who changed what, and why."""

from typing import Any

from django.db import models

from tenants.models.base import TenantModel, tenant_key


class AuditEvent(TenantModel):
    """One change somebody made. Rows are never changed or deleted (trigger).

    Holds ids and field names, never personal values; the actor is an id without a foreign key, so that a person
    can be erased while the record stays.
    """

    public_prefix = "aud"

    action = models.CharField(max_length=80)
    target_type = models.CharField(max_length=80)
    target_id = models.UUIDField()
    actor_id = models.UUIDField(null=True, blank=True, help_text="The user; empty for a program or the platform itself.")
    api_key_id = models.UUIDField(null=True, blank=True, help_text="The API key that was used; empty for people.")
    fields: Any = models.JSONField(default=list)
    data: Any = models.JSONField(default=dict)
    reason = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        ordering = ["-at"]
        constraints = [tenant_key("auditevent")]
        indexes = [
            models.Index(fields=["tenant", "-at"], name="auditevent_by_time"),
            models.Index(fields=["tenant", "target_type", "target_id", "-at"], name="auditevent_by_target"),
            models.Index(fields=["-at"], name="auditevent_features", condition=models.Q(action="feature.changed")),
        ]

    def __str__(self) -> str:
        return self.action
