"""Bundles of features and limits that tenants are sold."""

from typing import Any

from django.db import models

from tenants.models.base import UUIDModel


class Plan(UUIDModel):
    """What every tenant on it has, unless the tenant has a choice of its own. Global: it belongs to no tenant.

    `features` maps a key of the registry to `{"enabled": bool, "config": {…}}`; a key that is left out stands as the
    registry says.
    """

    public_prefix = "plan"

    name = models.CharField(max_length=80, unique=True, help_text="As it is sold, e.g. Professional.")
    description = models.CharField(max_length=300, blank=True, help_text="For staff: who it is meant for.")
    features: Any = models.JSONField(default=dict, blank=True, editable=False)
    max_open_calls = models.PositiveIntegerField(
        default=10, help_text="Calls that may be waiting or running at once, e.g. 10. 0 allows none."
    )
    api_requests_per_minute = models.PositiveIntegerField(
        default=1200, help_text="Requests all API keys of a tenant together may make in a minute, e.g. 1200."
    )
    calls_per_phone_day = models.PositiveIntegerField(
        "calls to one phone in 24 hours",
        default=3,
        help_text="How often agents may ring one phone within 24 hours. 0 allows none.",
    )
    calls_per_phone_week = models.PositiveIntegerField(
        "calls to one phone in 7 days", default=7, help_text="How often agents may ring one phone within 7 days. 0 allows none."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
