"""What providers tell us of their own accord."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from tenants.models import UUIDModel


class ProviderEvent(UUIDModel):
    """A webhook of a provider, stored once by its id. Global: which tenant it concerns is found out when it is handled."""

    class Provider(models.TextChoices):
        LIVEKIT = "livekit", "LiveKit"

    # Somebody called, and there was no account whose call it could be.
    STRAY: ClassVar = "stray_call"

    public_prefix = "pev"

    provider = models.CharField(max_length=7, choices=Provider)
    event_id = models.CharField(max_length=120)
    kind = models.CharField(max_length=60)
    room = models.CharField(max_length=255, blank=True)
    at = models.DateTimeField(help_text="When it happened, as the provider says.")
    body: Any = models.JSONField(default=dict)
    received_at = models.DateTimeField()
    handled_at = models.DateTimeField(null=True, blank=True)
    call_id = models.UUIDField(null=True, blank=True, help_text="The call it was about; empty when there is none.")

    class Meta:
        ordering = ["-received_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["provider", "event_id"], name="providerevent_once")]
        indexes = [
            models.Index(fields=["received_at"], name="providerevent_to_handle", condition=Q(handled_at=None)),
            models.Index(fields=["-received_at", "-id"], name="providerevent_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"
