"""Messages callers leave."""

from django.db import models

from calls.models.call import Call
from calls.models.journaled import JournaledModel
from tenants.models import TenantForeignKey, User, tenant_key


class Message(JournaledModel):
    """Something a caller wants somebody to know. `key` is stable within the call: taken again, it is corrected."""

    public_prefix = "msg"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="messages", db_constraint=False)
    key = models.CharField(max_length=120)
    caller_name = models.CharField(max_length=200, blank=True)
    phone = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True)
    urgent = models.BooleanField(default=False)
    taken_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True, help_text="When somebody of the staff took note of it.")
    read_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta(JournaledModel.Meta):
        ordering = ["-taken_at", "-id"]
        constraints = [
            tenant_key("message"),
            TenantForeignKey(field="call", name="message_call_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "call", "key"], name="message_once"),
        ]
        indexes = [models.Index(fields=["tenant", "-taken_at", "-id"], name="message_newest")]

    def __str__(self) -> str:
        return self.public_id
