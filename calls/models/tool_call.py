"""What the agent did besides speaking."""

from typing import Any

from django.db import models

from calls.models.call import Call
from calls.models.journaled import JournaledModel
from calls.models.stream import stream_position
from tenants.models import TenantForeignKey, tenant_key


class ToolCall(JournaledModel):
    """One use of a tool, with what came of it."""

    class Status(models.TextChoices):
        OK = "ok", "ok"
        REFUSED = "refused", "refused"
        ERROR = "error", "error"

    public_prefix = "tcl"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="tool_calls", db_constraint=False)
    sequence = models.PositiveIntegerField()
    key = models.CharField(max_length=60)
    arguments: Any = models.JSONField(default=dict)
    status = models.CharField(max_length=7, choices=Status)
    output = models.TextField(blank=True)
    started_ms = models.IntegerField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    idempotency_key = models.CharField(max_length=120, blank=True)
    position: Any = stream_position()

    class Meta(JournaledModel.Meta):
        ordering = ["sequence"]
        constraints = [
            tenant_key("toolcall"),
            TenantForeignKey(field="call", name="toolcall_call_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "call", "sequence"], name="toolcall_once"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.key}"
