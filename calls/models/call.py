"""One conversation: where it is, how it ended and what it cost."""

from typing import Any, ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q

from agents.models import Agent, AgentVersion
from calls.models.host import WorkerHost
from calls.models.number import PhoneNumber
from calls.models.snapshot import ConfigSnapshot
from calls.models.trunk import TrunkGrant
from tenants.models import TenantForeignKey, TenantManager, TenantModel, TenantQuerySet, tenant_key


class CallQuerySet(TenantQuerySet):
    def open(self) -> Self:
        return self.exclude(status=Call.Status.ENDED)

    def live(self) -> Self:
        """Without simulations, chats and test runs."""
        return self.filter(livemode=True)

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")


class CallManager(TenantManager.from_queryset(CallQuerySet)):  # type: ignore[misc]
    pass


class Call(TenantModel):
    """One conversation between a person and an agent.

    `calls.lifecycle` is the only writer of `status`. `dispatched_at` is when a host was asked to take the call,
    `claimed_at` when a job did; `answered_at` is the zero of the call clock.
    """

    class Kind(models.TextChoices):
        INBOUND = "inbound", "inbound"
        OUTBOUND = "outbound", "outbound"
        WEB = "web", "web"
        SIMULATED = "simulated", "simulated"
        CHAT = "chat", "chat"

    class Transport(models.TextChoices):
        LIVEKIT = "livekit", "LiveKit"
        LOCAL = "local", "local"

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"
        DISPATCHED = "dispatched", "dispatched"
        DIALING = "dialing", "dialing"
        RINGING = "ringing", "ringing"
        IN_PROGRESS = "in_progress", "in progress"
        HANDED_OVER = "handed_over", "handed over"
        ENDED = "ended", "ended"

    class Disposition(models.TextChoices):
        COMPLETED = "completed", "completed"
        TRANSFERRED = "transferred", "transferred"
        VOICEMAIL = "voicemail", "voicemail"
        NO_ANSWER = "no_answer", "no answer"
        BUSY = "busy", "busy"
        REJECTED = "rejected", "rejected"
        INVALID_NUMBER = "invalid_number", "invalid number"
        CANCELED = "canceled", "canceled"
        BLOCKED = "blocked", "blocked"
        FAILED = "failed", "failed"
        UNKNOWN = "unknown", "unknown"

    class AnsweredBy(models.TextChoices):
        HUMAN = "human", "a person"
        MACHINE_IVR = "machine_ivr", "a menu"
        MACHINE_VM = "machine_vm", "a voicemail box"
        MACHINE_UNAVAILABLE = "machine_unavailable", "a voicemail box that takes no message"
        SCREENING = "screening", "a phone that screens its calls"
        UNCERTAIN = "uncertain", "unclear who"

    public_prefix = "call"

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    version = models.ForeignKey(AgentVersion, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    snapshot = models.ForeignKey(ConfigSnapshot, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    kind = models.CharField(max_length=9, choices=Kind)
    transport = models.CharField(max_length=7, choices=Transport)
    livemode = models.BooleanField(help_text="Off for simulations, chats and test runs: they count in no figure.")
    persona = models.CharField(max_length=60, blank=True, help_text="Who calls, in a simulation.")
    phone = models.CharField(
        max_length=40, blank=True, help_text="The other party's number; empty when it is withheld or there is none."
    )
    number = models.ForeignKey(
        PhoneNumber, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    grant = models.ForeignKey(TrunkGrant, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    room = models.CharField(max_length=255, blank=True, help_text="The call's room on the LiveKit server.")
    ring_timeout_s = models.PositiveSmallIntegerField(default=30, help_text="How long an outbound call may ring.")
    overridden_gates: Any = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    answered_by = models.CharField(max_length=19, choices=AnsweredBy, blank=True)
    context: Any = models.JSONField(default=dict, blank=True, help_text="What the agent is told about the other party.")
    variables: Any = models.JSONField(default=dict, blank=True)
    metadata: Any = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    overrides: Any = models.JSONField(default=dict, blank=True, help_text="Settings of the version this call alone changes.")
    max_duration_s = models.PositiveIntegerField()
    not_before = models.DateTimeField(null=True, blank=True, help_text="It waits until then.")
    not_after = models.DateTimeField(null=True, blank=True, help_text="It is canceled when it has not begun by then.")

    status = models.CharField(max_length=11, choices=Status, default=Status.QUEUED)
    disposition = models.CharField(max_length=14, choices=Disposition, blank=True)
    ended_reason = models.CharField(max_length=60, blank=True)
    ended_detail = models.TextField(blank=True)

    host = models.ForeignKey(WorkerHost, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    job_id = models.CharField(max_length=80, blank=True)

    created_at = models.DateTimeField()
    dispatched_at = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    finalized_at = models.DateTimeField(null=True, blank=True)

    cost = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    currency = models.CharField(max_length=3)
    cost_missing: Any = models.JSONField(default=list, blank=True, help_text="Usage without a price, which the cost leaves out.")

    objects: ClassVar[CallManager] = CallManager()

    class Meta(TenantModel.Meta):
        permissions = [
            ("hang_up_call", "Can hang up a call"),
            ("say_call", "Can have the agent say something in a running call"),
            ("instruct_call", "Can whisper an instruction to the agent of a running call"),
            ("mute_call", "Can mute the agent of a running call, and let it speak again"),
            ("place_call", "Can call people"),
            ("talk_call", "Can talk to agents with the browser"),
            ("override_gates", "Can call somebody although a gate refuses it, with a reason"),
        ]
        constraints = [
            tenant_key("call"),
            TenantForeignKey(field="agent", name="call_agent_same_tenant"),
            TenantForeignKey(field="version", name="call_version_same_tenant"),
            TenantForeignKey(field="snapshot", name="call_snapshot_same_tenant"),
            TenantForeignKey(field="number", name="call_number_same_tenant"),
            TenantForeignKey(field="grant", name="call_grant_same_tenant"),
            models.UniqueConstraint(fields=["room"], condition=~Q(room=""), name="call_of_room"),
            models.UniqueConstraint(
                fields=["tenant", "phone"], condition=Q(kind="outbound") & ~Q(status="ended"), name="call_rings_a_phone_once"
            ),
            models.CheckConstraint(
                name="call_outbound_rings_somebody", condition=~Q(kind="outbound") | (~Q(phone="") & ~Q(room=""))
            ),
            models.CheckConstraint(name="call_inbound_has_a_room", condition=~Q(kind="inbound") | ~Q(room="")),
            models.CheckConstraint(name="call_web_has_a_room", condition=~Q(kind="web") | ~Q(room="")),
            models.CheckConstraint(
                name="call_disposition_iff_ended",
                condition=(Q(status="ended", ended_at__isnull=False) & ~Q(disposition="") & ~Q(ended_reason=""))
                | (~Q(status="ended") & Q(ended_at=None, disposition="", ended_reason="", ended_detail="")),
            ),
            models.CheckConstraint(name="call_finalized_has_ended", condition=Q(finalized_at=None) | Q(status="ended")),
            models.CheckConstraint(
                name="call_cost_iff_finalized",
                condition=Q(finalized_at=None, cost=None) | Q(finalized_at__isnull=False, cost__gte=0),
            ),
            models.CheckConstraint(
                name="call_claimed_by_a_job_of_a_host",
                condition=Q(job_id="", claimed_at=None) | (~Q(job_id="") & Q(claimed_at__isnull=False, host__isnull=False)),
            ),
            models.CheckConstraint(
                name="call_queued_is_free",
                condition=~Q(status="queued") | Q(job_id="", dispatched_at=None, answered_at=None),
            ),
            models.CheckConstraint(
                name="call_dispatched_has_time", condition=~Q(status="dispatched") | Q(dispatched_at__isnull=False)
            ),
            models.CheckConstraint(
                name="call_in_progress_is_answered",
                condition=~Q(status__in=["in_progress", "handed_over"]) | Q(answered_at__isnull=False),
            ),
            models.CheckConstraint(
                name="call_ends_after_its_answer",
                condition=Q(answered_at=None) | Q(ended_at=None) | Q(ended_at__gte=models.F("answered_at")),
            ),
            models.CheckConstraint(
                name="call_simulation_is_no_live_call", condition=~Q(kind__in=["simulated", "chat"]) | Q(livemode=False)
            ),
            models.CheckConstraint(
                name="call_local_without_server", condition=Q(transport="livekit") | Q(kind__in=["simulated", "chat"])
            ),
            models.CheckConstraint(name="call_persona_simulates", condition=Q(persona="") | Q(kind="simulated")),
            models.CheckConstraint(name="call_lasts", condition=Q(max_duration_s__gt=0)),
            models.CheckConstraint(
                name="call_begins_before_it_expires",
                condition=Q(not_before=None) | Q(not_after__isnull=False, not_after__gt=models.F("not_before")),
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-created_at", "-id"], name="call_newest"),
            models.Index(fields=["-created_at", "-id"], name="call_newest_of_all"),
            models.Index(fields=["tenant"], name="call_open", condition=~Q(status="ended")),
            models.Index(
                fields=["created_at", "id"],
                name="call_local_queue",
                condition=Q(status="queued", transport="local", host=None),
            ),
            models.Index(fields=["created_at", "id"], name="call_outbound_queue", condition=Q(status="queued", kind="outbound")),
            models.Index(fields=["tenant", "phone", "-id"], name="call_newest_with_phone", condition=~Q(phone="")),
            models.Index(fields=["tenant", "number", "-id"], name="call_newest_of_number", condition=Q(number__isnull=False)),
            models.Index(fields=["not_after"], name="call_expiring", condition=Q(status="queued", not_after__isnull=False)),
            models.Index(fields=["tenant", "agent", "-id"], name="call_newest_of_agent"),
            models.Index(fields=["tenant", "status", "-id"], name="call_newest_of_status"),
            models.Index(fields=["tenant", "kind", "-id"], name="call_newest_of_kind"),
            models.Index(fields=["tenant", "disposition", "-id"], name="call_newest_of_disposition"),
            GinIndex(fields=["metadata"], opclasses=["jsonb_path_ops"], name="call_by_metadata"),
            models.Index(fields=["ended_at"], name="call_to_finalize", condition=Q(status="ended", finalized_at=None)),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def duration_s(self) -> float | None:
        """How long the conversation lasted; None while it runs, 0 when it was never answered."""
        if self.ended_at is None:
            return None
        return (self.ended_at - self.answered_at).total_seconds() if self.answered_at else 0.0
