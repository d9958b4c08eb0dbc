"""How much of the platform a tenant may use at once."""

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from tenants.models.base import TenantModel, tenant_key


class TenantLimits(TenantModel):
    """One row per tenant, made with it."""

    public_prefix = "lim"

    max_open_calls = models.PositiveIntegerField(
        default=10, help_text="Calls that may be waiting or running at once, e.g. 10. 0 allows none."
    )
    max_call_cost = models.DecimalField(
        max_digits=18,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="A call ends when it has cost this much, in the tenant's currency, e.g. 2.50. Empty means no cap.",
    )

    class Meta(TenantModel.Meta):
        verbose_name = verbose_name_plural = "limits"
        constraints = [
            tenant_key("tenantlimits"),
            models.UniqueConstraint(fields=["tenant"], name="tenantlimits_once"),
            models.CheckConstraint(
                name="tenantlimits_cost_not_negative", condition=Q(max_call_cost=None) | Q(max_call_cost__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return f"at most {self.max_open_calls} open calls"
