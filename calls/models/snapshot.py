"""What a call ran on."""

from typing import Any

from django.db import models

from tenants.models import TenantModel, tenant_key


class ConfigSnapshot(TenantModel):
    """A compiled version as it was when a call was placed; calls with the same configuration share one."""

    public_prefix = "cfg"

    sha256 = models.CharField(max_length=64)
    body: Any = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("configsnapshot"),
            models.UniqueConstraint(fields=["tenant", "sha256"], name="configsnapshot_once"),
        ]

    def __str__(self) -> str:
        return self.sha256[:12]
