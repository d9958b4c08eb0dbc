"""How much of the platform a tenant may use at once."""

from django.db import models

from tenants.models.base import TenantModel, tenant_key


class TenantLimits(TenantModel):
    """One row per tenant, made with it."""

    public_prefix = "lim"

    max_open_calls = models.PositiveIntegerField(
        default=10, help_text="Calls that may be waiting or running at once, e.g. 10. 0 allows none."
    )

    class Meta(TenantModel.Meta):
        verbose_name = verbose_name_plural = "limits"
        constraints = [
            tenant_key("tenantlimits"),
            models.UniqueConstraint(fields=["tenant"], name="tenantlimits_once"),
        ]

    def __str__(self) -> str:
        return f"at most {self.max_open_calls} open calls"
