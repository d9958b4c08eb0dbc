"""Keys that programs of a tenant sign in with."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from tenants.models.base import TenantModel, tenant_key


class ApiKey(TenantModel):
    """A bearer key. The key itself is shown once; only its SHA-256 is kept. `prefix` finds it and may be shown."""

    public_prefix = "key"

    name = models.CharField(max_length=80, help_text="What uses it, e.g. CRM sync.")
    prefix = models.CharField(max_length=16, editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    livemode = models.BooleanField(default=False, help_text="Off: calls made with it are test calls and count in no figure.")
    scopes: Any = ArrayField(models.CharField(max_length=40), default=list)
    allowed_cidrs: Any = ArrayField(
        models.CharField(max_length=43), default=list, blank=True, help_text="Networks it may be used from; empty for any."
    )
    requests_per_minute = models.PositiveIntegerField(default=600, help_text="Requests it may make in a minute, e.g. 600.")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        "tenants.User", null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="From then on it is refused; empty for never.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        ordering = ["-id"]
        constraints = [
            tenant_key("apikey"),
            # The prefix is how a request finds its tenant, so it is unique among all.
            models.UniqueConstraint(fields=["prefix"], name="apikey_prefix_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.shown})"

    @property
    def shown(self) -> str:
        """As much of the key as may be shown."""
        return f"vp_{'live' if self.livemode else 'test'}_{self.prefix}_…"
