"""People and queues an agent may hand a call to."""

from typing import Any, ClassVar, Self

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from agents.transfers import RINGS_S, Target
from tenants.models import TenantManager, TenantModel, TenantQuerySet, tenant_key
from tenants.models.tenant import validate_timezone
from voiceplatform.lib.digits import KEYS
from voiceplatform.lib.phone import E164

LONGEST_NAME = 60
_ONE_LINE = RegexValidator(r"\A[^\x00-\x1f\x7f-\x9f]*\Z", "Write it on one line.")


class TransferTargetQuerySet(TenantQuerySet):
    def enabled(self) -> Self:
        return self.filter(enabled=True)


class TransferTargetManager(TenantManager.from_queryset(TransferTargetQuerySet)):  # type: ignore[misc]
    pass


class TransferTarget(TenantModel):
    """A phone where somebody takes calls over. Versions name targets by their public ids; a disabled one is tried by nobody."""

    class Kind(models.TextChoices):
        PERSON = "person", "a person, who confirms that they take the call"
        QUEUE = "queue", "a queue, which just answers"

    class Mode(models.TextChoices):
        WARM = "warm", "the agent introduces the caller first"
        BLIND = "blind", "the caller is put through at once"

    public_prefix = "tgt"

    name = models.CharField(
        max_length=LONGEST_NAME, validators=[_ONE_LINE], help_text="As the agent knows them, e.g. Front desk or Dr. Park."
    )
    kind = models.CharField(max_length=6, choices=Kind, default=Kind.PERSON)
    when = models.CharField(
        max_length=300,
        blank=True,
        validators=[_ONE_LINE],
        help_text="For the agent: what they are for, e.g. Questions about an invoice.",
    )
    phone = models.CharField(max_length=16, help_text="With country code, e.g. +12125550123.")
    digits = models.CharField(
        max_length=32,
        blank=True,
        validators=[RegexValidator(rf"\A{KEYS.pattern}\Z", "1 to 32 of 0-9, *, # and w, which waits half a second.")],
        help_text="Keys pressed after the answer, e.g. an extension: 0-9, *, # and w, which waits half a second.",
    )
    mode = models.CharField(max_length=5, choices=Mode, default=Mode.WARM)
    ring_s = models.PositiveSmallIntegerField(
        default=RINGS_S,
        validators=[MinValueValidator(5), MaxValueValidator(60)],
        help_text="How long it rings before the next one is tried, in seconds.",
    )
    priority = models.PositiveSmallIntegerField(
        default=100, validators=[MaxValueValidator(1000)], help_text="Lower ones are tried first."
    )
    hours: Any = models.JSONField(default=list, blank=True)
    timezone = models.CharField(
        max_length=64,
        blank=True,
        validators=[validate_timezone],
        help_text="The clock the hours are read on, e.g. America/Chicago; empty: the tenant's.",
    )
    enabled = models.BooleanField(default=True, help_text="Off: nobody is put through to it.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[TransferTargetManager] = TransferTargetManager()

    class Meta(TenantModel.Meta):
        ordering = ["priority", "name"]
        constraints = [
            tenant_key("transfertarget"),
            models.UniqueConstraint(
                fields=["tenant", "name"],
                name="transfertarget_name_once",
                violation_error_message="Another target has this name.",
            ),
            models.CheckConstraint(name="transfertarget_phone_is_e164", condition=Q(phone__regex=E164)),
        ]

    def __str__(self) -> str:
        return self.name

    def as_target(self) -> Target:
        """As a job is given it."""
        return Target(
            id=self.public_id,
            name=self.name,
            kind=self.kind,
            when=self.when,
            phone=self.phone,
            digits=self.digits,
            mode=self.mode,
            ring_s=self.ring_s,
            priority=self.priority,
            hours=self.hours,
            zone=self.timezone or self.tenant.timezone,
        )
