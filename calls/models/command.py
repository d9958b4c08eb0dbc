"""What somebody outside wants of a running call."""

from typing import Any

from django.db import models
from django.db.models import Q

from calls.models.call import Call
from tenants.models import TenantForeignKey, TenantModel, User, tenant_key


class CallCommand(TenantModel):
    """An instruction to the job that holds the call, taken once.

    `text` and `options` are what it is about, until the job takes it; then they are forgotten. An action, which is every kind
    but a chat's message, has an outcome in the end, whatever becomes of the job. Of a message `turn` is its place in the
    transcript, and `answered_at` when the agent had said everything it had to say to it.
    """

    class Kind(models.TextChoices):
        HANG_UP = "hang_up", "hang up"
        MESSAGE = "message", "message"
        SAY = "say", "say"
        INSTRUCT = "instruct", "instruct"
        TRANSFER = "transfer", "transfer"
        SEND_DTMF = "send_dtmf", "send digits"
        MUTE_AGENT = "mute_agent", "mute the agent"
        UNMUTE_AGENT = "unmute_agent", "unmute the agent"

    class Outcome(models.TextChoices):
        DONE = "done", "done"
        FAILED = "failed", "failed"

    class State(models.TextChoices):
        """Of an action: no job has it yet, a job is at it, or it is over."""

        WAITING = "waiting", "waiting"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    public_prefix = "cmd"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="commands", db_constraint=False)
    kind = models.CharField(max_length=20, choices=Kind)
    actor = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500, blank=True)
    text = models.TextField(blank=True)
    options: Any = models.JSONField(default=dict, blank=True)
    turn = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()
    taken_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=6, choices=Outcome, blank=True)
    outcome_reason = models.CharField(max_length=60, blank=True, help_text="Why it failed.")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["created_at", "id"]
        constraints = [
            tenant_key("callcommand"),
            TenantForeignKey(field="call", name="callcommand_call_same_tenant"),
            models.UniqueConstraint(
                fields=["tenant", "call"],
                name="callcommand_one_hang_up",
                condition=Q(taken_at=None, finished_at=None, kind="hang_up"),
            ),
            models.CheckConstraint(
                name="callcommand_outcome_when_finished",
                condition=Q(outcome="", finished_at=None) | (~Q(outcome="") & Q(finished_at__isnull=False)),
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="callcommand_waiting", condition=Q(taken_at=None))]

    def __str__(self) -> str:
        return self.kind

    @property
    def state(self) -> str:
        """One of State, for an action."""
        return self.outcome or (self.State.RUNNING if self.taken_at else self.State.WAITING)

    @property
    def failed_because(self) -> str:
        return self.outcome_reason.replace("_", " ")
