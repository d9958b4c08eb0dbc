"""The order in which what happens in a call became known."""

from typing import Any

from django.db import models

from calls.models.call import Call
from tenants.models import TenantForeignKey, TenantModel, tenant_key


def stream_position() -> Any:
    """The row's place in its call's stream: a trigger gives a new and higher one with each change.

    Whoever writes for a call holds its counter until the commit, so places are committed in their order and a reader who
    goes on from the last one it has seen misses nothing.
    """
    return models.BigIntegerField(db_default=0, editable=False)


class CallStream(TenantModel):
    """The highest place taken in a call's stream. Written by the trigger alone."""

    public_prefix = "cst"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="streams", db_constraint=False)
    last = models.BigIntegerField()

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("callstream"),
            TenantForeignKey(field="call", name="callstream_call_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "call"], name="callstream_once"),
        ]

    def __str__(self) -> str:
        return f"{self.call_id}: {self.last}"
