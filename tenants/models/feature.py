"""Which features of the registry a tenant has switched on or off, and how they are configured."""

from typing import Any

from django.db import models

from tenants.models.base import TenantModel, tenant_key


class TenantFeature(TenantModel):
    """A tenant's own choice for one feature; without a row it is as the plan says, else the registry."""

    public_prefix = "feat"

    feature_key = models.CharField(max_length=80)
    enabled = models.BooleanField()
    config: Any = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        ordering = ["feature_key"]
        constraints = [
            tenant_key("tenantfeature"),
            models.UniqueConstraint(fields=["tenant", "feature_key"], name="tenantfeature_once"),
        ]

    def __str__(self) -> str:
        return f"{self.feature_key} ({'on' if self.enabled else 'off'})"
