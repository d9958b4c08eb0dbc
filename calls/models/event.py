"""What happened to a call, in order."""

from typing import Any

from django.db import models
from django.db.models import Q

from calls.models.call import Call
from calls.models.stream import stream_position
from tenants.models import TenantForeignKey, TenantModel, tenant_key


class CallEvent(TenantModel):
    """One thing that happened. `key` tells repetitions of one piece of news apart; it is empty where there are none."""

    public_prefix = "cev"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="events", db_constraint=False)
    kind = models.CharField(max_length=60)
    at = models.DateTimeField()
    data: Any = models.JSONField(default=dict)
    key = models.CharField(max_length=64, blank=True)
    position: Any = stream_position()

    class Meta(TenantModel.Meta):
        ordering = ["at", "id"]
        constraints = [
            tenant_key("callevent"),
            TenantForeignKey(field="call", name="callevent_call_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "call", "key"], name="callevent_once", condition=~Q(key="")),
        ]
        indexes = [models.Index(fields=["tenant", "call", "at", "id"], name="callevent_in_order")]

    def __str__(self) -> str:
        return self.kind
