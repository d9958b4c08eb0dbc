"""How much of the platform a tenant may use at once."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from tenants.models.base import TenantModel, tenant_key
from voiceplatform.lib.countries import validate_countries


class TenantLimits(TenantModel):
    """A tenant's own limits, one row per tenant, made with it; what is empty is as the plan says.

    `tenants/services/limits.py` tells which hold.
    """

    public_prefix = "lim"

    max_open_calls = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Calls that may be waiting or running at once, e.g. 10. 0 allows none. Empty: as in the plan, else 10.",
    )
    api_requests_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Requests all API keys together may make in a minute, e.g. 1200. Empty: as in the plan, else 1200.",
    )
    calls_per_phone_day = models.PositiveIntegerField(
        "calls to one phone in 24 hours",
        null=True,
        blank=True,
        help_text="How often agents may ring one phone within 24 hours, e.g. 3. 0 allows none. Empty: as in the plan, else 3.",
    )
    calls_per_phone_week = models.PositiveIntegerField(
        "calls to one phone in 7 days",
        null=True,
        blank=True,
        help_text="How often agents may ring one phone within 7 days, e.g. 7. 0 allows none. Empty: as in the plan, else 7.",
    )
    allowed_countries: Any = ArrayField(
        models.CharField(max_length=2),
        default=list,
        blank=True,
        validators=[validate_countries],
        help_text="Countries its agents may call, as ISO codes with commas, e.g. US,CA. "
        "Empty: only the country the tenant's time zone lies in, so none at all while that zone is UTC.",
    )

    class Meta(TenantModel.Meta):
        verbose_name = verbose_name_plural = "limits"
        constraints = [
            tenant_key("tenantlimits"),
            models.UniqueConstraint(fields=["tenant"], name="tenantlimits_once"),
        ]

    def __str__(self) -> str:
        return f"own limits of {self.tenant}"
