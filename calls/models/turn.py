"""The transcript."""

from typing import Any

from django.db import models
from django.db.models import Q

from calls.models.call import Call
from calls.models.journaled import JournaledModel
from calls.models.stream import stream_position
from tenants.models import TenantForeignKey, tenant_key


class Turn(JournaledModel):
    """One stretch of speech. A person is somebody the caller was connected with. `words` holds text, start and end of each
    word where the recogniser tells them. Times are milliseconds on the call clock; `metrics` holds milliseconds and counts."""

    class Speaker(models.TextChoices):
        CALLER = "caller", "caller"
        AGENT = "agent", "agent"
        PERSON = "person", "person"

    class Source(models.TextChoices):
        SPEECH = "speech", "speech"
        TEXT = "text", "text"
        GREETING = "greeting", "greeting"
        REPLY = "reply", "reply"
        APOLOGY = "apology", "apology"
        WARNING = "warning", "warning"
        ORDERED = "ordered", "said because staff asked for it"

    public_prefix = "turn"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="turns", db_constraint=False)
    sequence = models.PositiveIntegerField()
    speaker = models.CharField(max_length=6, choices=Speaker)
    source = models.CharField(max_length=8, choices=Source)
    text = models.TextField(blank=True)
    language = models.CharField(max_length=20, blank=True)
    started_ms = models.IntegerField(null=True, blank=True)
    ended_ms = models.IntegerField(null=True, blank=True)
    interrupted = models.BooleanField(default=False)
    redacted = models.BooleanField(default=False, help_text="Words were left out or masked before they were stored.")
    words: Any = models.JSONField(default=list)
    metrics: Any = models.JSONField(default=dict)
    position: Any = stream_position()

    class Meta(JournaledModel.Meta):
        ordering = ["sequence"]
        constraints = [
            tenant_key("turn"),
            TenantForeignKey(field="call", name="turn_call_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "call", "sequence"], name="turn_once"),
            models.CheckConstraint(name="turn_speaker_known", condition=Q(speaker__in=["caller", "agent", "person"])),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.speaker}"
